"""Following a run: what is read, what is told, and when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from src.common.errors import Transient
from src.common.status import JobStatus, OrderStatus
from src.remote.follow import PATIENCE, Follower

pytestmark = pytest.mark.unit

S = OrderStatus
NOW = 1_800_000_000_000


class Clock:
    now = NOW

    def now_ms(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class Watcher:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def accepted(self, run_id: str, orders: Mapping[str, str]) -> None:
        self.told.append(dict(orders))

    def order_changed(
        self, num: str, status: OrderStatus, at_ms: int, reason: str | None = None
    ) -> None:
        entry = (num, status, at_ms - NOW)
        if entry not in self.told:
            self.told.append(entry)

    def tick(self) -> None:
        """Nothing to draw."""


def a_row(num: str, status: OrderStatus, **more: Any) -> dict[str, Any]:
    return {"num": num, "name": f"order-{num}", "status": status, **more}


class Stack:
    """Answers one script entry after another: (run item, rows), or an error to raise."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.rows: dict[str, dict[str, Any]] = {}
        self.asked: list[list[str]] = []

    def run(self, run_id: str) -> Mapping[str, Any] | None:
        entry = self.script.pop(0)
        if isinstance(entry, Exception):
            raise entry
        run, rows = entry
        self.rows = {row["num"]: row for row in rows}
        return run

    def orders(self, run_id: str, nums: Iterable[str]) -> dict[str, dict[str, Any]]:
        wanted = list(nums)
        self.asked.append(wanted)
        return {num: self.rows[num] for num in wanted if num in self.rows}

    def done(self, run_id: str) -> Mapping[str, Any] | None:
        return self.script.pop(0)

    trace = events = job_events = None


def a_run(rev: int, *, packaged: bool = True, ended: JobStatus | None = None) -> dict[str, Any]:
    run: dict[str, Any] = {
        "run_id": "run-1",
        "trace_id": "abcdef01",
        "flow_id": "f",
        "status": "running",
        "created_at": NOW,
        "total": 2,
        "rev": rev,
    }
    if packaged:
        run["packaged_at"] = NOW
    if ended is not None:
        run |= {"status": ended, "finished_at": NOW + 9}
    return run


ENDED = [
    a_row("0001", S.SUCCEEDED, started_at=NOW + 100, finished_at=NOW + 900),
    a_row("0002", S.FAILED, started_at=NOW + 950, finished_at=NOW + 990),
]


def follow(
    stack: Any, watcher: Watcher, clock: Clock | None = None, **more: Any
) -> Callable[[], Any]:
    return Follower(stack, "run-1", watcher, clock or Clock(), **more).until_end


def test_changes_are_told_in_the_order_in_which_they_happened() -> None:
    watcher = Watcher()

    state = follow(Stack((a_run(5, ended=JobStatus.FAILED), ENDED)), watcher)()

    assert state.status is JobStatus.FAILED
    assert watcher.told == [
        {"0001": "order-0001", "0002": "order-0002"},
        ("0001", S.RUNNING, 100),
        ("0001", S.SUCCEEDED, 900),
        ("0002", S.RUNNING, 950),
        ("0002", S.FAILED, 990),
    ]


def test_rows_are_read_when_the_run_changed_and_only_of_orders_that_had_not_ended() -> None:
    running = [ENDED[0], a_row("0002", S.RUNNING, dispatched_at=NOW + 950)]
    stack = Stack(
        (a_run(3), running), (a_run(3), running), (a_run(4, ended=JobStatus.FAILED), ENDED)
    )

    state = follow(stack, Watcher())()

    assert stack.asked == [["0001", "0002"], ["0002"]]
    assert [order.status for order in state.orders] == [S.SUCCEEDED, S.FAILED]


def test_orders_are_introduced_once_their_names_are_known() -> None:
    watcher = Watcher()
    unpackaged, partly = (a_run(1, packaged=False), []), (a_run(2, packaged=False), [ENDED[0]])

    follow(Stack(unpackaged, partly, (a_run(3, ended=JobStatus.FAILED), ENDED)), watcher)()

    assert watcher.told[0] == {"0001": "order-0001", "0002": "order-0002"}


def test_names_that_are_known_are_shown_at_once() -> None:
    watcher = Watcher()

    follow(Stack(), watcher, names={"0001": "a", "0002": "b"})

    assert watcher.told == [{"0001": "a", "0002": "b"}]


def test_trouble_that_passes_is_waited_out() -> None:
    troubles = [Transient("later")] * (PATIENCE - 1)
    stack = Stack(*troubles, (a_run(2), []), *troubles, (a_run(5, ended=JobStatus.FAILED), ENDED))

    assert follow(stack, Watcher())().ended


def test_trouble_that_stays_is_raised() -> None:
    with pytest.raises(Transient, match="later"):
        follow(Stack(*[Transient("later")] * PATIENCE), Watcher())()


def test_a_run_whose_rows_expire_meanwhile_is_told_by_what_is_left() -> None:
    done = {
        "run_id": "run-1",
        "trace_id": "abcdef01",
        "status": "succeeded",
        "created_at": NOW,
        "orders": {"order-0001": {"num": "0001", "status": "succeeded"}},
    }
    stack = Stack((a_run(3), ENDED[:1]), (None, []), done)

    state = follow(stack, Watcher())()

    assert (state.source, state.status) == ("done", JobStatus.SUCCEEDED)
