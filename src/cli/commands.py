"""What each command does, from the files named to the exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from src.cli import files, inputs, record
from src.cli.exit_codes import INTERRUPTED, NOT_SUCCEEDED, OK, REFUSED
from src.cli.interrupts import Interrupts
from src.cli.problems import FileRefused
from src.cli.say import complain, say
from src.cli.text import count
from src.common.errors import IacCiError, JobRefused, Problem
from src.common.status import JobStatus

if TYPE_CHECKING:
    from src.cli.page.model import RunRecord
    from src.common.job import Job
    from src.local.report import RunReport

Aws = Literal["embedded", "moto"]


def run_file(
    file: Path,
    *,
    as_json: bool,
    secrets_file: Path | None,
    env_file: Path | None,
    parallel: int | None,
    log_dir: Path | None,
    page: Path | None,
    buckets: Sequence[str] = (),
    aws: Aws,
) -> int:
    """Run the job in `file` and show it; return the exit code."""
    try:
        raw, lines = inputs.read_job(file)
        secrets = {} if secrets_file is None else inputs.read_secrets(secrets_file)
        env = {} if env_file is None else inputs.read_env(env_file)
        folders = inputs.read_buckets(buckets)
        if log_dir is not None:
            _prepare(log_dir)
        if page is not None:
            used = [log_dir / name for name in (record.RUN, record.EVENTS)] if log_dir else []
            used += [given for given in (file, secrets_file, env_file) if given is not None]
            files.check_replaceable(page, "--report", used=used)
        try:
            report, interrupted = _run(
                raw,
                secrets=secrets,
                env=env,
                parallel=parallel or max(4, 2 * (os.cpu_count() or 1)),
                aws=aws,
                buckets=folders,
                on_stderr=as_json,
            )
        except JobRefused as refused:
            raise FileRefused(file, refused.problems, lines) from None
    except FileRefused as refused:
        if as_json:
            say(record.dumps(record.refusal(refused)))
        return _refuse(refused)
    except KeyboardInterrupt:
        complain("interrupted, stopped at once")
        return INTERRUPTED
    except IacCiError as error:
        complain(str(error))
        return NOT_SUCCEEDED
    code = _kept(report, log_dir, page, _exit_code(report, interrupted=interrupted))
    if as_json:
        say(record.dumps(record.as_dict(report)))
    if report.refused:
        _refuse(FileRefused(file, report.problems, lines))
    return code


def validate_file(file: Path) -> int:
    """Check the job in `file`; return the exit code."""
    job = _parsed(file)
    if job is None:
        return REFUSED
    from src.common.graph import layers

    depth = len(layers(job.graph))
    say(f"{file}: {count(len(job.orders), 'order')} in {count(depth, 'layer')}, nothing is wrong")
    return OK


def graph_file(file: Path, *, mermaid: bool) -> int:
    """Draw the job in `file`; return the exit code."""
    job = _parsed(file)
    if job is None:
        return REFUSED
    from src.cli import console
    from src.cli.dag import draw
    from src.cli.dag.mermaid import flowchart

    needs = {order.order_name: order.dependencies for order in job.orders}
    if mermaid:
        say(flowchart(needs))
        return OK
    out = console.out()
    say(draw.drawing(needs, width=out.width, ascii_only=console.is_ascii(out)))
    return OK


def report_folder(folder: Path, output: Path | None) -> int:
    """Write the page of the run whose record lies in `folder`; return the exit code."""
    from src.cli.page.gather import from_folder

    path = folder / "report.html" if output is None else output
    try:
        run = from_folder(folder)
        used = [folder / record.RUN, folder / record.EVENTS]
        files.check_replaceable(path, "--output", used=used)
    except FileRefused as refused:
        return _refuse(refused)
    if not (code := _paged(run, path)):
        say(f"wrote {path}")
    return code


def _run(
    raw: object,
    *,
    secrets: Mapping[str, str],
    env: Mapping[str, str],
    parallel: int,
    aws: Aws,
    buckets: Mapping[str, Path],
    on_stderr: bool,
) -> tuple[RunReport, bool]:
    """Run the job in view of the user; return the report and whether they interrupted it."""
    from src.cli import console, summary
    from src.local.run import run_job

    target = console.err() if on_stderr else console.out()
    live = console.can_redraw(target)
    with Interrupts() as interrupts:
        with _view(live=live)(target, cancelling=interrupts) as view:
            report = run_job(
                raw,
                secrets=secrets,
                env=env,
                parallel=parallel,
                aws=aws,
                buckets=buckets,
                watcher=view,
                cancelled=interrupts,
            )
        if not report.refused:
            summary.show(report, target, tails=live)
    return report, interrupts.requested


def _view(*, live: bool) -> Callable[..., Any]:
    if live:
        from src.cli.live import LiveView

        return LiveView
    from src.cli.plain import PlainView

    return PlainView


def _kept(report: RunReport, log_dir: Path | None, page: Path | None, code: int) -> int:
    """Write record and page if asked to; return the exit code, a failure if that did not work."""
    if log_dir is not None:
        try:
            record.write(report, log_dir)
        except OSError as error:
            complain(f"writing the run's record to {log_dir}: {error}")
            code = code or NOT_SUCCEEDED
    if page is not None:
        from src.cli.page.gather import from_report

        failed = _paged(from_report(report), page)
        code = code or failed
    return code


def _paged(run: RunRecord, path: Path) -> int:
    """Write the page of a run; return the exit code."""
    from src.cli.page.render import page

    try:
        files.replace(path, page(run))
    except OSError as error:
        complain(f"writing the page of the run to {path}: {error}")
        return NOT_SUCCEEDED
    return OK


def _exit_code(report: RunReport, *, interrupted: bool) -> int:
    if report.refused:
        return REFUSED
    if report.status is JobStatus.SUCCEEDED:
        return OK
    if report.status is JobStatus.CANCELLED and interrupted:
        return INTERRUPTED
    return NOT_SUCCEEDED


def _parsed(file: Path) -> Job | None:
    """Return the job in `file`, None after saying why there is none."""
    from src.common.job import parse_job

    try:
        raw, lines = inputs.read_job(file)
        try:
            return parse_job(raw, file_urls=True)
        except JobRefused as refused:
            raise FileRefused(file, refused.problems, lines) from None
    except FileRefused as refused:
        _refuse(refused)
        return None


def _prepare(folder: Path) -> None:
    """Make the folder for logs now: finding out after the run would lose them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileRefused(
            folder, [Problem("--log-dir", f"cannot be made: {error.strerror}")]
        ) from None


def _refuse(refused: FileRefused) -> int:
    for line in refused.shown:
        complain(line)
    complain(f"refused: {count(len(refused.shown), 'problem')}")
    return REFUSED
