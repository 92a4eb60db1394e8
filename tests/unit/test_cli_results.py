"""What is left of a run: the table for people, the object and the files for programs."""

from __future__ import annotations

import fcntl
import io
import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from src.cli import record, summary
from src.common.errors import Problem
from src.common.records import Event
from src.common.status import JobStatus, OrderStatus
from src.local.report import OrderView, RunReport

pytestmark = pytest.mark.unit

START = 1_700_000_000_000


def order(name: str, status: OrderStatus = OrderStatus.SUCCEEDED, **given: object) -> OrderView:
    fields = {
        "num": "0001",
        "exit_code": 0,
        "dispatched_at": START,
        "started_at": START + 500,
        "finished_at": START + 1_000,
        "reason": None,
        "log": "fine\n",
        "log_truncated": False,
        "dependencies": (),
        "cmds": ("make",),
        "timeout": 30,
        "start_by": START + 600_000,
        "end_by": START + 630_000,
    }
    return OrderView(name=name, status=status, **(fields | given))


def skipped(name: str, reason: str) -> OrderView:
    nothing = {"exit_code": None, "dispatched_at": None, "started_at": None, "finished_at": None}
    return order(name, OrderStatus.SKIPPED, reason=reason, log="", **nothing)


def report(*orders: OrderView, status: JobStatus = JobStatus.SUCCEEDED) -> RunReport:
    return RunReport(
        run_id="run-1",
        trace_id="0123456789abcdef",
        flow_id="me:0123456789abcdef-exec",
        status=status,
        reason=None,
        problems=(),
        orders=tuple(replace(each, num=f"{n:04d}") for n, each in enumerate(orders, 1)),
        events=(
            Event(
                trace_id="0123456789abcdef",
                run_id="run-1",
                order_name="_job",
                epoch=START,
                event="accepted",
                status="running",
                ttl=0,
            ),
        ),
        started_at=START,
        finished_at=START + 1_000,
        refused=False,
        end_by=START + 3_600_000,
    )


def shown(run: RunReport, *, width: int = 80, tails: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width, no_color=True)
    summary.show(run, console, tails=tails)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_summary_is_a_table_with_a_timeline_and_a_verdict() -> None:
    run = report(
        order("fmt", finished_at=START + 750),
        order("plan", OrderStatus.FAILED, exit_code=3),
        skipped("apply", "dependency plan failed"),
        status=JobStatus.FAILED,
    )

    lines = shown(run, width=70)

    assert lines == [
        "order  status        time  exit  timeline",
        "fmt    ✓ succeeded  0.2 s     0  ·············━━━━━━━━······",
        "plan   ✗ failed     0.5 s     3  ·············━━━━━━━━━━━━━━",
        "apply  ○ skipped                 dependency plan failed",
        "✗ failed in 1.0 s: 1 succeeded, 1 failed, 1 skipped (run run-1)",
    ]


def test_narrow_terminals_get_a_narrow_table() -> None:
    lines = shown(report(order("a-rather-long-name-of-an-order")), width=40)

    assert all(len(line) <= 40 for line in lines[:-1])
    assert "timeline" not in lines[0]


@pytest.mark.parametrize("width", [20, 31, 32, 63])
def test_a_long_name_takes_neither_status_nor_time_from_a_narrow_table(width: int) -> None:
    lines = shown(report(order("a-rather-long-name-of-an-order" * 2)), width=width)

    status = "✓ succeeded" if width >= 32 else "✓"
    assert lines[1].split("  ")[1:] == [status, "0.5 s"]
    assert all(len(line) <= width for line in lines[:-1])
    assert (
        "".join(line.split(" ")[0] for line in lines[1:-1]) == "a-rather-long-name-of-an-order" * 2
    )


def test_logs_of_what_went_wrong_follow_harmless_and_bounded() -> None:
    log = "".join(f"line {n}\n" for n in range(50)) + "\x1b[31m[bold]Error[/bold]\n"

    lines = shown(report(order("plan", OrderStatus.FAILED, exit_code=3, log=log)), tails=True)

    start = lines.index("plan: failed (exit 3)")
    assert lines[start + 1] == "  (36 earlier lines; --log-dir DIR keeps all)"
    assert lines[start + 2] == "  line 36"
    assert lines[start + 16] == "  [bold]Error[/bold]"


def test_long_tables_leave_out_what_succeeded_first() -> None:
    orders = [order(f"ok-{n}") for n in range(150)] + [order("bad", OrderStatus.FAILED)]

    lines = shown(report(*orders))

    assert "and 51 more orders" in lines
    assert any(line.startswith("bad ") for line in lines)


def test_json_object_has_the_promised_shape() -> None:
    assert record.as_dict(report(order("a"))) == {
        "run_id": "run-1",
        "trace_id": "0123456789abcdef",
        "flow_id": "me:0123456789abcdef-exec",
        "status": "succeeded",
        "started_at": START,
        "finished_at": START + 1_000,
        "end_by": START + 3_600_000,
        "orders": {
            "a": {
                "num": "0001",
                "status": "succeeded",
                "exit_code": 0,
                "log": "fine\n",
                "log_truncated": False,
                "dispatched_at": START,
                "start_by": START + 600_000,
                "started_at": START + 500,
                "end_by": START + 630_000,
                "finished_at": START + 1_000,
                "dependencies": [],
                "cmds": ["make"],
                "must_succeed": True,
                "use_lambda": True,
                "timeout": 30,
            }
        },
    }


def test_json_object_gives_reasons_where_there_are_any() -> None:
    run = replace(
        report(skipped("a", "packaging failed"), status=JobStatus.FAILED),
        reason="packaging failed",
        problems=(Problem("orders.a.git_ref", "unknown"),),
    )

    found = record.as_dict(run)

    assert found["reason"] == found["orders"]["a"]["reason"] == "packaging failed"
    assert found["details"] == [{"path": "orders.a.git_ref", "message": "unknown"}]


def test_log_dir_holds_logs_events_and_the_object(tmp_path: Path) -> None:
    run = report(order("a", log="größer\udcff\n"), skipped("b", "why"))

    record.write(run, tmp_path / "new" / "logs")

    folder = tmp_path / "new" / "logs"
    assert sorted(path.name for path in folder.iterdir()) == ["a.log", "events.jsonl", "run.json"]
    assert (folder / "a.log").read_text(encoding="utf-8") == "größer\\udcff\n"
    assert json.loads((folder / "run.json").read_text()) == record.as_dict(run)
    (event,) = (folder / "events.jsonl").read_text().splitlines()
    assert json.loads(event)["event"] == "accepted"


def test_files_of_an_earlier_run_are_replaced_whole(tmp_path: Path) -> None:
    record.write(report(order("a", log="a long first log\n")), tmp_path)
    record.write(report(order("a", log="short\n")), tmp_path)

    assert (tmp_path / "a.log").read_text() == "short\n"


def test_who_keeps_a_record_waits_for_who_is_at_it(tmp_path: Path) -> None:
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    writing = threading.Thread(target=record.write, args=(report(order("a")), tmp_path))

    writing.start()
    writing.join(0.2)
    meanwhile = list(tmp_path.iterdir())
    os.close(other)
    writing.join(20)

    assert meanwhile == []
    assert (tmp_path / record.RUN).exists()
