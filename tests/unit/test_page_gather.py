"""Records of runs from folders: whole, old, lacking, broken."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from src.cli import record
from src.cli.page.gather import from_folder, from_object, from_report
from src.cli.page.render import page
from src.cli.problems import FileRefused
from src.common.errors import JobRefused, Problem
from src.common.records import Event
from src.common.status import JobStatus, OrderStatus
from src.local.report import OrderView, RunReport
from tests.support.run_records import START, a_run, an_event, an_order

pytestmark = pytest.mark.unit


def a_report() -> RunReport:
    order = OrderView(
        num="0001",
        name="plan",
        status=OrderStatus.FAILED,
        exit_code=3,
        dispatched_at=START,
        started_at=START + 100,
        finished_at=START + 900,
        reason="killed",
        log="\x1b[31mgrößer\x1b[0m \udcff\n",
        log_truncated=True,
        dependencies=(),
        cmds=("make <all>",),
        must_succeed=False,
        use_lambda=False,
        timeout=60,
        start_by=START + 600_000,
        end_by=START + 660_000,
    )
    event = Event(
        trace_id="t", run_id="run-1", order_name="_job", epoch=START, event="e", status="s", ttl=0
    )
    return RunReport(
        run_id="run-1",
        trace_id="0123456789abcdef",
        flow_id="me:0123456789abcdef-exec",
        status=JobStatus.FAILED,
        reason="why",
        problems=(Problem("orders.plan", "wrong"),),
        orders=(order,),
        events=(event,),
        started_at=START,
        finished_at=START + 1_000,
        refused=True,
        end_by=START + 3_600_000,
    )


def test_record_has_all_that_the_report_says() -> None:
    report = a_report()

    found = from_report(report)

    for field in ("run_id", "trace_id", "flow_id", "status", "reason", "started_at", "end_by"):
        assert getattr(found, field) == getattr(report, field)
    assert [(detail.path, detail.message) for detail in found.details] == [("orders.plan", "wrong")]
    (order,), (view,) = found.orders, report.orders
    for field in view.__slots__:
        if field != "log":
            assert getattr(order, field) == getattr(view, field), field
    assert order.log == "\x1b[31mgrößer\x1b[0m \\udcff\n"
    assert found.events is not None
    assert [event.event for event in found.events] == ["e"]


def test_folder_of_a_log_dir_gives_the_same_record_as_the_run_itself(tmp_path: Path) -> None:
    record.write(a_report(), tmp_path)

    assert from_folder(tmp_path) == from_report(a_report())


def test_record_of_an_older_version_lacks_and_is_read_all_the_same(tmp_path: Path) -> None:
    order = {"status": "succeeded", "exit_code": 0, "log": "x\n", "started_at": None}
    old = {"run_id": "r", "trace_id": "t", "flow_id": "f", "status": "succeeded"}
    (tmp_path / "run.json").write_text(json.dumps({**old, "orders": {"a": order}}))

    found = from_folder(tmp_path)

    assert (found.orders[0].name, found.orders[0].cmds, found.events) == ("a", (), None)
    assert found.span is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is no record of a run: expected an object"),
        ('{"run_id": "r"}', "orders: expected a map of name -> order"),
        ('{"error": "the job was refused", "details": []}', "orders: expected .*job was refused"),
        ('{"run_id": "r", "status": "fine", "orders": {}}', "status: Input should be 'running'"),
        ('{"run_id": "r", "status": "failed", "orders": {"a": 1}}', r"orders\.a: Input should be"),
        (
            '{"run_id": "r", "status": "failed", "orders": {"a": {"status": "odd"}}}',
            r"orders\.a\.status: Input should be 'queued'",
        ),
        (json.dumps(a_run({"a": an_order(1, started_at="now")})), r"orders\.a\.started_at: "),
        (json.dumps(a_run({"a": an_order(1, timeout=-1)})), r"orders\.a\.timeout: "),
        (json.dumps(a_run({"a": an_order(1, finished_at=1e400)})), r"orders\.a\.finished_at: "),
        (
            json.dumps(a_run({"a": an_order(1, dependencies=["b"])})),
            r"orders\.a\.dependencies: no such order: b",
        ),
        (
            json.dumps(
                a_run({"a": an_order(1, dependencies=["b"]), "b": an_order(2, dependencies=["a"])})
            ),
            "orders: wait for each other: a -> b -> a",
        ),
    ],
)
def test_broken_record_is_refused_naming_file_and_field(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "run.json").write_text(text)

    with pytest.raises(FileRefused) as caught:
        from_folder(tmp_path)

    assert all(line.startswith(f"{tmp_path / 'run.json'}: ") for line in caught.value.shown)

    assert re.search(problem, caught.value.shown[0])


@pytest.mark.parametrize("time", [-1, 2**53 - 1, 10**30])
def test_time_that_no_calendar_has_is_unknown(time: int) -> None:
    run = a_run({"a": an_order(1, started_at=time, finished_at=time)})

    (order,) = from_object(run, []).orders

    assert (order.started_at, order.finished_at) == (None, None)


@pytest.mark.parametrize("times", [(0, 1), (START, 0), (0, 253_402_300_799_999)])
def test_odd_times_give_a_page_all_the_same(times: tuple[int, int]) -> None:
    started, finished = times
    run = a_run({"a": an_order(1, started_at=started, finished_at=finished)})

    assert "</html>" in page(from_object(run, []))


def test_events_of_a_later_run_that_wrote_no_record_are_left_out(tmp_path: Path) -> None:
    record.write(a_report(), tmp_path)
    later = an_event("_job", 1, "accepted", run_id="run-2")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write(json.dumps(later) + "\n")

    assert from_folder(tmp_path) == from_report(a_report())


def test_broken_line_among_the_events_is_named(tmp_path: Path) -> None:
    record.write(a_report(), tmp_path)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write("{half of")

    with pytest.raises(FileRefused) as caught:
        from_folder(tmp_path)

    assert caught.value.shown[0].startswith(f"{tmp_path / 'events.jsonl'}:2: is no JSON")


def test_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as caught:
        from_folder(tmp_path)

    assert caught.value.shown == (
        f"{tmp_path}: LOG_DIR: holds no run.json, which `iac-ci run --log-dir` writes",
    )


def test_only_the_first_of_many_problems_are_told() -> None:
    orders: dict[str, Any] = {f"o{n}": {"status": "odd"} for n in range(1000)}

    with pytest.raises(JobRefused, match=r"orders\.o0\.status") as caught:
        from_object(a_run(orders), [])

    assert len(caught.value.problems) == 20
