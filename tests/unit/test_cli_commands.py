"""The commands: which stream says what, and which exit code tells what became of the job."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from src import __version__
from src.cli.app import app
from src.common.errors import IacCiError, JobRefused, Problem
from src.common.status import JobStatus, OrderStatus
from src.local.report import OrderView, RunReport
from src.local.run import Watcher

pytestmark = pytest.mark.unit

JOB = """\
username: me
orders:
  plan: {cmds: ["true"], timeout: 10}
  apply: {cmds: ["true"], timeout: 10, dependencies: [plan]}
"""
BAD_JOB = """\
username: me
orders:
  plan:
    cmds: ["true"]
    timout: 10
  apply:
    cmds: ["true"]
    timeout: 10
    dependencies: [paln]
"""


class Engine:
    """Stands for `run_job`: plays a script to the watcher and keeps what it was asked."""

    def __init__(self, status: JobStatus = JobStatus.SUCCEEDED, **report: object) -> None:
        self.status = status
        self.report = report
        self.asked: Mapping[str, Any] = {}
        self.script: Callable[[Watcher, Callable[[], bool]], None] = lambda *_: None

    def __call__(self, raw_job: object, **options: Any) -> RunReport:
        self.asked = {"raw_job": raw_job, **options}
        watcher = options["watcher"]
        watcher.accepted("run-1", {"0001": "plan"})
        watcher.order_changed("0001", OrderStatus.RUNNING, 1_000)
        watcher.line("0001", "hello")
        self.script(watcher, options["cancelled"])
        watcher.order_changed("0001", OrderStatus.SUCCEEDED, 2_000)
        watcher.tick()
        fields = {
            "run_id": "run-1",
            "trace_id": "0123456789abcdef",
            "flow_id": "me:0123456789abcdef-exec",
            "status": self.status,
            "reason": None,
            "problems": (),
            "orders": (_plan(),),
            "events": (),
            "started_at": 1_000,
            "finished_at": 2_000,
            "refused": False,
        }
        return RunReport(**(fields | self.report))


def _plan() -> OrderView:
    return OrderView(
        num="0001",
        name="plan",
        status=OrderStatus.SUCCEEDED,
        exit_code=0,
        dispatched_at=1_000,
        started_at=1_000,
        finished_at=2_000,
        reason=None,
        log="hello\n",
        log_truncated=False,
        dependencies=(),
    )


@pytest.fixture
def job(tmp_path: Path) -> Path:
    file = tmp_path / "job.yaml"
    file.write_text(JOB)
    return file


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    def use(engine: Any) -> Any:
        monkeypatch.setattr("src.local.run.run_job", engine)
        return engine

    return use


def cli(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_version() -> None:
    assert cli("--version").stdout == f"iac-ci {__version__}\n"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (JobStatus.SUCCEEDED, 0),
        (JobStatus.FAILED, 1),
        (JobStatus.TIMED_OUT, 1),
        (JobStatus.CANCELLED, 1),
    ],
)
def test_exit_code_tells_what_became_of_the_job(
    use: Callable[[Any], Any], job: Path, status: JobStatus, code: int
) -> None:
    use(Engine(status))

    assert cli("run", job).exit_code == code


def test_run_prints_lines_and_a_summary_where_stdout_is_no_terminal(
    use: Callable[[Any], Any], job: Path
) -> None:
    use(Engine())

    lines = cli("run", job).stdout.splitlines()

    assert lines[0] == "run run-1: 1 order"
    assert any(line.endswith("plan | hello") for line in lines)
    assert lines[-1] == "✓ succeeded in 1.0 s: 1 succeeded (run run-1)"


def test_json_is_one_object_on_stdout_and_nothing_else(
    use: Callable[[Any], Any], job: Path
) -> None:
    use(Engine())

    result = cli("run", job, "--json")

    assert json.loads(result.stdout)["orders"]["plan"]["log"] == "hello\n"
    assert "plan | hello" in result.stderr


def test_options_reach_the_engine(use: Callable[[Any], Any], job: Path, tmp_path: Path) -> None:
    engine = use(Engine())
    (tmp_path / "s.yaml").write_text("/a: x\n")
    (tmp_path / "e.env").write_text("A=1\n")
    options = ("--secrets", tmp_path / "s.yaml", "--env-file", tmp_path / "e.env")

    cli("run", job, *options, "--parallel", 3, "--aws", "moto")

    assert engine.asked["secrets"] == {"/a": "x"}
    assert engine.asked["env"] == {"A": "1"}
    assert (engine.asked["parallel"], engine.asked["aws"]) == (3, "moto")
    assert list(engine.asked["raw_job"]["orders"]) == ["plan", "apply"]


def test_default_is_two_orders_per_cpu_and_at_least_four(
    use: Callable[[Any], Any], job: Path
) -> None:
    engine = use(Engine())

    cli("run", job)

    assert engine.asked["parallel"] == max(4, 2 * (os.cpu_count() or 1))


@pytest.mark.parametrize(
    "options", [("--parallel", 0), ("--aws", "azure"), ("--log-dir", __file__), ("--colour",)]
)
def test_wrong_options_are_refused_before_anything_runs(
    use: Callable[[Any], Any], job: Path, options: tuple[object, ...]
) -> None:
    engine = use(Engine())

    assert cli("run", job, *options).exit_code == 2
    assert not engine.asked


def test_log_dir_is_made_and_filled(use: Callable[[Any], Any], job: Path, tmp_path: Path) -> None:
    use(Engine())

    result = cli("run", job, "--json", "--log-dir", tmp_path / "logs")

    assert (tmp_path / "logs" / "plan.log").read_text() == "hello\n"
    assert (tmp_path / "logs" / "run.json").read_text() == result.stdout


def test_log_dir_that_cannot_be_made_is_refused_before_the_run(
    use: Callable[[Any], Any], job: Path
) -> None:
    engine = use(Engine())

    result = cli("run", job, "--log-dir", job / "logs")

    assert result.exit_code == 2
    assert not engine.asked
    assert f"{job / 'logs'}: --log-dir: cannot be made: Not a directory" in result.stderr


def test_log_dir_that_breaks_after_the_run_fails_it_loudly(
    use: Callable[[Any], Any], job: Path, tmp_path: Path
) -> None:
    engine = use(Engine())
    engine.script = lambda *_: (tmp_path / "logs" / "plan.log").mkdir()

    result = cli("run", job, "--log-dir", tmp_path / "logs")

    assert result.exit_code == 1
    assert f"writing the run's record to {tmp_path / 'logs'}: " in result.stderr


def test_page_of_the_run_is_written_whatever_became_of_it(
    use: Callable[[Any], Any], job: Path, tmp_path: Path
) -> None:
    use(Engine(JobStatus.FAILED))

    result = cli("run", job, "--report", tmp_path / "page.html")

    assert result.exit_code == 1
    html = (tmp_path / "page.html").read_text()
    assert html.startswith("<!doctype html>")
    assert "run-1" in html


def test_page_may_lie_in_the_log_dir_and_is_the_one_made_from_it_later(
    use: Callable[[Any], Any], job: Path, tmp_path: Path
) -> None:
    use(Engine())
    logs = tmp_path / "logs"

    assert cli("run", job, "--log-dir", logs, "--report", logs / "page.html").exit_code == 0
    result = cli("report", logs)

    assert (result.exit_code, result.stdout) == (0, f"wrote {logs / 'report.html'}\n")
    assert (logs / "report.html").read_text() == (logs / "page.html").read_text()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("none/page.html", "there is no folder"),
        (".", "is a folder"),
        ("job.yaml", "would overwrite"),
        ("some.env", "would overwrite"),
        ("logs/run.json", "would overwrite"),
    ],
)
def test_page_that_cannot_be_written_is_refused_before_the_run(
    use: Callable[[Any], Any], job: Path, tmp_path: Path, path: str, why: str
) -> None:
    engine = use(Engine())
    (tmp_path / "some.env").touch()
    options = ("--env-file", tmp_path / "some.env", "--log-dir", tmp_path / "logs")

    result = cli("run", job, *options, "--report", tmp_path / path)

    assert result.exit_code == 2
    assert not engine.asked
    assert result.stderr.startswith(f"{tmp_path / path}: --report: {why}")
    assert job.read_text() == JOB


def test_page_that_breaks_after_the_run_fails_it_loudly(
    use: Callable[[Any], Any], job: Path, tmp_path: Path
) -> None:
    engine = use(Engine())
    page = tmp_path / "pages" / "page.html"
    page.parent.mkdir()
    engine.script = lambda *_: page.parent.rmdir()

    result = cli("run", job, "--report", page)

    assert result.exit_code == 1
    assert f"writing the page of the run to {page}: " in result.stderr


def test_report_of_a_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    result = cli("report", tmp_path)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"{tmp_path}: LOG_DIR: holds no run.json")


@pytest.mark.parametrize(
    ("output", "why"), [("none/page.html", "there is no folder"), ("run.json", "would overwrite")]
)
def test_report_names_option_and_path_where_it_cannot_be_written(
    use: Callable[[Any], Any], job: Path, tmp_path: Path, output: str, why: str
) -> None:
    use(Engine())
    cli("run", job, "--log-dir", tmp_path)

    result = cli("report", tmp_path, "-o", tmp_path / output)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"{tmp_path / output}: --output: {why}")


def test_refused_job_names_every_problem_with_its_line(
    use: Callable[[Any], Any], tmp_path: Path
) -> None:
    def engine(*_: object, **__: object) -> None:
        raise JobRefused([Problem("orders.apply.timeout", "is too long"), Problem("username", "x")])

    use(engine)
    file = tmp_path / "job.yaml"
    file.write_text(BAD_JOB)

    result = cli("run", file)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{file}:1: username: x",
        f"{file}:8: orders.apply.timeout: is too long",
        "refused: 2 problems",
    ]


def test_refused_job_as_json_has_the_shape_of_the_webhooks_answer(
    use: Callable[[Any], Any], job: Path
) -> None:
    def engine(*_: object, **__: object) -> None:
        raise JobRefused([Problem("username", "x")])

    use(engine)

    assert json.loads(cli("run", job, "--json").stdout) == {
        "error": "the job was refused",
        "details": [{"file": str(job), "line": 1, "path": "username", "message": "x"}],
    }


@pytest.mark.parametrize(
    ("option", "text", "detail"),
    [
        ("--env-file", "A=1\n?\n", {"line": 2, "path": "", "message": "expected KEY=VALUE"}),
        ("--secrets", "", {"path": "", "message": "the secrets file is empty"}),
        ("--secrets", "a: 1\n", {"line": 1, "path": "a"}),
        ("--log-dir", None, {"path": "--log-dir", "message": "cannot be made: Not a directory"}),
    ],
)
def test_a_file_beside_the_job_that_is_refused_is_named_to_programs_too(
    option: str, text: str | None, detail: dict[str, Any], job: Path, tmp_path: Path
) -> None:
    file = job / "logs" if text is None else tmp_path / "beside"
    if text is not None:
        file.write_text(text)

    result = cli("run", job, "--json", option, file)

    assert result.exit_code == 2
    (told,) = json.loads(result.stdout)["details"]
    assert {"file": str(file), **detail}.items() <= told.items()


def test_job_whose_code_cannot_be_had_is_refused(use: Callable[[Any], Any], job: Path) -> None:
    problems = (Problem("orders.plan.git_ref", 'no ref "nope"'),)
    use(Engine(JobStatus.FAILED, refused=True, problems=problems))

    result = cli("run", job)

    assert result.exit_code == 2
    assert f'{job}:3: orders.plan.git_ref: no ref "nope"' in result.stderr


def test_other_errors_are_told_without_a_traceback(use: Callable[[Any], Any], job: Path) -> None:
    def engine(*_: object, **__: object) -> None:
        raise IacCiError("accepting the job: no")

    use(engine)

    result = cli("run", job)

    assert (result.exit_code, result.stderr) == (1, "accepting the job: no\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_first_signal_cancels_the_run(
    use: Callable[[Any], Any], job: Path, number: signal.Signals
) -> None:
    def script(watcher: Watcher, cancelled: Callable[[], bool]) -> None:
        assert not cancelled()
        signal.raise_signal(number)
        assert cancelled()
        watcher.tick()

    engine = use(Engine(JobStatus.CANCELLED))
    engine.script = script
    outside = signal.signal(number, signal.SIG_DFL)  # the tests may run under nohup
    try:
        result = cli("run", job)
        after = signal.getsignal(number)
    finally:
        signal.signal(number, outside)

    assert result.exit_code == 130
    assert "cancelling; interrupt once more to stop at once" in result.stdout
    assert after is signal.SIG_DFL


def test_second_signal_stops_at_once(use: Callable[[Any], Any], job: Path) -> None:
    def script(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("went on after the second signal")

    use(Engine()).script = script

    result = cli("run", job)

    assert result.exit_code == 130
    assert "stopped at once" in result.stderr


def test_a_signal_that_comes_twice_at_once_is_one(use: Callable[[Any], Any], job: Path) -> None:
    def script(*_: object) -> None:  # as `timeout` does: to the process, then to its group
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    use(Engine(JobStatus.CANCELLED)).script = script

    result = cli("run", job)

    assert result.exit_code == 130
    assert "stopped at once" not in result.stderr


def test_job_that_succeeded_despite_a_late_signal_succeeded(
    use: Callable[[Any], Any], job: Path
) -> None:
    use(Engine()).script = lambda *_: signal.raise_signal(signal.SIGINT)

    assert cli("run", job).exit_code == 0


def test_validate_says_how_large_a_good_job_is(job: Path) -> None:
    result = cli("validate", job)

    assert result.exit_code == 0
    assert result.stdout == f"{job}: 2 orders in 2 layers, nothing is wrong\n"


def test_validate_names_all_problems_at_once_with_lines(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(BAD_JOB)

    result = cli("validate", file)

    assert result.exit_code == 2
    shown = result.stderr.splitlines()
    assert any(line.startswith(f"{file}:5: orders.plan.timout: ") for line in shown)
    assert any(line.startswith(f"{file}:9: orders.apply.dependencies[0]: ") for line in shown)
    assert shown[-1] == "refused: 3 problems"


def test_graph_draws_the_job(job: Path) -> None:
    assert cli("graph", job).stdout == "plan ──▶ apply\n"
    assert cli("graph", job, "--mermaid").stdout.startswith("flowchart LR\n")


def test_graph_of_a_bad_job_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(BAD_JOB)

    assert cli("graph", file).exit_code == 2
