"""The record of a run for programs: one JSON object, and the same as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from src.cli import files
from src.common.keys import ORDER_NAME

if TYPE_CHECKING:
    from src.cli.problems import FileRefused
    from src.local.report import OrderView, RunReport

RUN: Final = "run.json"
EVENTS: Final = "events.jsonl"


def as_dict(report: RunReport) -> dict[str, Any]:
    """Return the object that `--json` prints; times are epoch milliseconds.

    `reason` is there only where the commands themselves do not say why, `details` only for a job
    that was refused while its code and secrets were fetched.
    """
    record: dict[str, Any] = {
        "run_id": report.run_id,
        "trace_id": report.trace_id,
        "flow_id": report.flow_id,
        "status": str(report.status),
        "started_at": report.started_at,
        "finished_at": report.finished_at,
        "end_by": report.end_by,
        "orders": {order.name: _order(order) for order in report.orders},
    }
    if report.reason:
        record["reason"] = report.reason
    if report.problems:
        record["details"] = [problem.as_dict() for problem in report.problems]
    return record


def refusal(refused: FileRefused) -> dict[str, Any]:
    """Return the object for a file that was refused: as the webhook's 400, with file and line."""
    return {"error": "the job was refused", "details": refused.details}


def dumps(record: object) -> str:
    """Return JSON in ASCII, which every terminal, pipe and locale carries."""
    return json.dumps(record, indent=2)


def write(report: RunReport, folder: Path) -> None:
    """Write `<order>.log` of each order that ran, `events.jsonl` and, last, `run.json`.

    Each file appears whole or not at all. Of runs that share the folder the last to end is kept.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with files.alone(folder):
        _write(report, folder)


def _write(report: RunReport, folder: Path) -> None:
    for name in _earlier(folder) | {order.name for order in report.orders}:
        (folder / f"{name}.log").unlink(missing_ok=True)
    for order in report.orders:
        if order.started_at is not None or order.log:
            files.replace(folder / f"{order.name}.log", order.log)
    events = "".join(
        json.dumps(event.to_item(), ensure_ascii=False) + "\n" for event in report.events
    )
    files.replace(folder / EVENTS, events)
    files.replace(folder / RUN, dumps(as_dict(report)) + "\n")


def _earlier(folder: Path) -> set[str]:
    """Return the orders of the run whose record lies there: its logs are not this one's."""
    try:
        orders = json.loads((folder / RUN).read_text(encoding="utf-8"))["orders"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in orders if ORDER_NAME.fullmatch(name)}


def _order(order: OrderView) -> dict[str, Any]:
    record: dict[str, Any] = {
        "num": order.num,
        "status": str(order.status),
        "exit_code": order.exit_code,
        "log": order.log,
        "log_truncated": order.log_truncated,
        "dispatched_at": order.dispatched_at,
        "start_by": order.start_by,
        "started_at": order.started_at,
        "end_by": order.end_by,
        "finished_at": order.finished_at,
        "dependencies": list(order.dependencies),
        "cmds": list(order.cmds),
        "must_succeed": order.must_succeed,
        "use_lambda": order.use_lambda,
        "timeout": order.timeout,
    }
    if order.reason:
        record["reason"] = order.reason
    return record
