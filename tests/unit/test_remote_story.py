"""The latest runs and one run's story, from events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from src.common.records import Event
from src.common.status import JobStatus
from src.remote import look
from src.remote.story import latest

pytestmark = pytest.mark.unit

NOW = 1_800_000_000_000


def an_event(run_id: str, event: str, at: int, status: str = "running", **more: Any) -> Event:
    given = {"trace_id": f"trace-{run_id}", "order_name": "_job", "ttl": 1, **more}
    return Event(run_id=run_id, event=event, epoch=NOW + at, status=status, **given)


def newest_first(*events: Event) -> Iterator[Event]:
    return iter(sorted(events, key=lambda event: -event.epoch))


def a_run(run_id: str, at: int, end: int | None = None, status: str = "succeeded") -> list[Event]:
    events = [
        an_event(run_id, "accepted", at, message=f"3 orders for {run_id}"),
        an_event(run_id, "packaged", at + 1),
    ]
    return events + ([] if end is None else [an_event(run_id, "finished", end, status)])


def test_runs_are_told_by_their_events_the_latest_first() -> None:
    lines = latest(newest_first(*a_run("a", 0, 50, "failed"), *a_run("b", 10)), 20)

    assert [(line.run_id, line.status, line.about) for line in lines] == [
        ("b", JobStatus.RUNNING, "3 orders for b"),
        ("a", JobStatus.FAILED, "3 orders for a"),
    ]
    assert (lines[1].started_at, lines[1].finished_at) == (NOW, NOW + 50)


def test_a_run_that_is_being_ended_says_so() -> None:
    closing = an_event("a", "closing", 5, "cancelled")

    (line,) = latest(newest_first(*a_run("a", 0), closing), 20)

    assert (line.status, line.closing) == (JobStatus.RUNNING, JobStatus.CANCELLED)


def test_only_as_much_is_read_as_it_takes() -> None:
    read = count()

    def endless() -> Iterator[Event]:
        for number in count():
            next(read)
            yield from newest_first(*a_run(f"run-{number}", -10 * number, -10 * number + 5))

    lines = latest(endless(), 3)

    assert [line.run_id for line in lines] == ["run-0", "run-1", "run-2"]
    assert all(line.started_at is not None for line in lines)
    assert next(read) <= 4


def test_fewer_runs_than_asked_for_are_all() -> None:
    assert [line.run_id for line in latest(newest_first(*a_run("a", 0)), 20)] == ["a"]
    assert latest([], 20) == []


def test_within_one_step_an_order_ends_before_what_follows_from_it() -> None:
    def of(order: str, event: str, status: str) -> Event:
        return an_event("a", event, 7, status, order_name=order)

    step = [
        an_event("a", "finished", 7, "failed"),
        of("x", "failed", "failed"),
        of("a", "claimed", "dispatching"),
        of("c", "skipped", "skipped"),
    ]

    class Records:
        def run(self, run_id: str) -> dict[str, str]:
            return {"trace_id": "trace-a"}

        def events(self, trace_id: str) -> list[Event]:
            return [*step, an_event("another", "accepted", 7)]

    told = [event.event for event in look.story(Records(), "a")]  # type: ignore[arg-type]

    assert told == ["failed", "skipped", "claimed", "finished"]
