"""What rows, done objects and events tell of a run, in one shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from src.common.errors import JobRefused
from src.common.outcome import done_summary
from src.common.records import Event, Order, Run
from src.common.status import JobStatus, OrderStatus
from src.remote import look
from src.remote.errors import UnknownRun
from src.remote.state import ORDER_FIELDS, RUN_FIELDS, from_done, from_events, from_rows
from tests.support.build import NOW, a_run, an_order

pytestmark = pytest.mark.unit

S = OrderStatus


def rows(*orders: Order) -> dict[str, dict[str, Any]]:
    return {order.num: only(order.to_item(), ORDER_FIELDS) for order in orders}


def only(item: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name in fields}


def an_event(order: str, event: str, status: str, at: int, **more: Any) -> Event:
    given = {"run_id": "run-1", "trace_id": "abcdef01", "ttl": 1, **more}
    return Event(order_name=order, event=event, status=status, epoch=NOW + at, **given)


STORY = (
    an_event("_job", "accepted", "running", 0, message="2 orders for alice"),
    an_event("a", "claimed", "dispatching", 10),
    an_event("a", "handed_over", "running", 20),
    an_event("other", "claimed", "dispatching", 25, run_id="run-2"),
    an_event("a", "succeeded", "succeeded", 30),
    an_event("b", "skipped", "skipped", 31, message="dependency a failed"),
    an_event("a", "late_result", "succeeded", 40, message="failed came after"),
    an_event("_job", "finished", "failed", 50, message="why"),
)


class Records:
    """Holds what still tells of runs."""

    def __init__(self, **held: Any) -> None:
        self.held = held
        self.asked: list[str] = []

    def _get(self, name: str, default: Any = None) -> Any:
        self.asked.append(name)
        return self.held.get(name, default)

    def run(self, run_id: str) -> Mapping[str, Any] | None:
        return self._get("run")

    def orders(self, run_id: str, nums: Iterable[str]) -> dict[str, dict[str, Any]]:
        wanted = set(nums)
        found = self._get("orders", {})
        return {num: row for num, row in found.items() if num in wanted}

    def done(self, run_id: str) -> Mapping[str, Any] | None:
        return self._get("done")

    def trace(self, run_id: str) -> str | None:
        return self._get("trace")

    def events(self, trace_id: str) -> Sequence[Event]:
        return self._get("events", ())

    def job_events(self) -> Iterator[Event]:
        return iter(self._get("job_events", ()))


def an_item(run: Run) -> dict[str, Any]:
    return only(run.to_item(), RUN_FIELDS)


def test_nothing_that_opens_a_bundle_is_read() -> None:
    assert {"identity", "token"} & {*ORDER_FIELDS, *RUN_FIELDS} == set()


def test_rows_tell_orders_in_their_order() -> None:
    ended = an_order(2, status=S.FAILED, exit_code=3, started_at=NOW, finished_at=NOW + 5)

    state = from_rows(an_item(a_run(total=2)), rows(ended, an_order(1)))

    assert [order.num for order in state.orders] == ["0001", "0002"]
    assert (state.orders[1].status, state.orders[1].exit_code) == (S.FAILED, 3)
    assert (state.ended, state.status) == (False, JobStatus.RUNNING)


def test_a_running_order_has_run_until_now_and_an_ended_one_has_not() -> None:
    running = an_order(1, status=S.RUNNING, dispatched_at=NOW + 1)
    ended = an_order(2, status=S.FAILED, started_at=NOW, finished_at=NOW + 5)
    state = from_rows(an_item(a_run(total=2)), rows(running, ended)).at(NOW + 100)

    assert [(order.started_at, order.finished_at) for order in state.orders] == [
        (NOW + 1, NOW + 100),
        (NOW, NOW + 5),
    ]


def test_done_object_and_rows_tell_the_same() -> None:
    run = a_run(total=1, status=JobStatus.SUCCEEDED, finished_at=NOW + 9, counts={"succeeded": 1})
    order = an_order(1, status=S.SUCCEEDED, exit_code=0, started_at=NOW, finished_at=NOW + 5)

    told = from_done(done_summary(run, {"0001": order.name}, {"0001": order}))

    by_rows = from_rows(an_item(run), rows(order))
    assert replace(told, source="rows", rev=run.rev, digest=run.digest) == replace(
        by_rows, done_endpt=None
    )


def test_events_tell_how_a_run_went() -> None:
    state = from_events("run-1", STORY)

    assert state is not None
    assert (state.status, state.reason, state.created_at) == (JobStatus.FAILED, "why", NOW)
    assert [(order.name, order.status) for order in state.orders] == [
        ("a", S.SUCCEEDED),
        ("b", S.SKIPPED),
    ]
    assert (state.orders[0].started_at, state.orders[0].finished_at) == (NOW + 10, NOW + 30)
    assert state.orders[1].reason == "dependency a failed"
    assert state.counts == {"succeeded": 1, "skipped": 1}


def test_events_of_other_runs_tell_nothing() -> None:
    assert from_events("run-3", STORY) is None


def test_rows_are_asked_first_and_then_nothing_else() -> None:
    records = Records(run=an_item(a_run()), orders=rows(an_order(1)))

    assert look.state(records, "run-1").source == "rows"
    assert records.asked == ["run", "orders"]


def test_a_run_without_rows_is_told_by_its_done_object() -> None:
    done = done_summary(a_run(finished_at=NOW, status=JobStatus.SUCCEEDED), {}, {})

    assert look.state(Records(done=done), "run-1").source == "done"


def test_a_run_without_rows_and_done_object_is_told_by_its_events() -> None:
    state = look.state(Records(trace="abcdef01", events=STORY), "run-1")

    assert (state.source, state.status) == ("events", JobStatus.FAILED)


def test_a_run_that_is_not_remembered_by_its_id_is_found_among_all_events() -> None:
    records = Records(job_events=reversed(STORY), events=STORY)

    assert look.state(records, "run-1").source == "events"


def test_a_run_that_nothing_tells_of_is_unknown() -> None:
    with pytest.raises(UnknownRun, match="run-3"):
        look.state(Records(job_events=STORY), "run-3")


@pytest.mark.parametrize("run_id", ["", "a b", "a:0001", "x" * 65])
def test_what_cannot_be_a_run_id_is_refused_before_anything_is_asked(run_id: str) -> None:
    records = Records()

    with pytest.raises(JobRefused):
        look.state(records, run_id)

    assert records.asked == []
