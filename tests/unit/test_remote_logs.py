"""Logs from results and from live lines: each line once, none lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from src.common.messages import Result
from src.common.status import JobStatus, OrderStatus
from src.remote.logs import LATE_MS, LiveLine, Tail, log_of, rest
from src.remote.state import OrderState, RunState

pytestmark = pytest.mark.unit

S = OrderStatus
NOW = 1_800_000_000_000


class Logs:
    """Results and log groups of a stack."""

    def __init__(self) -> None:
        self.results: dict[str, Result] = {}
        self.groups: dict[bool, list[LiveLine]] = {True: [], False: []}
        self.asked: list[Any] = []

    def result(self, run_id: str, num: str) -> Result | None:
        self.asked.append(("result", num))
        return self.results.get(num)

    def lines(self, run_id: str, num: str, since: int, *, builds: bool) -> Iterator[LiveLine]:
        self.asked.append(("builds" if builds else "worker", num, since))
        return (line for line in self.groups[builds] if num in ("", line.num) and line.at >= since)

    def prints(self, num: str, *texts: str, at: int = NOW, builds: bool = False) -> None:
        group = self.groups[builds]
        group += [LiveLine(str(len(group) + n), at, num, text) for n, text in enumerate(texts)]

    def ends(self, num: str, log: str, **more: Any) -> None:
        self.results[num] = Result(status=S.SUCCEEDED, log=log, **more)


@pytest.fixture
def logs() -> Logs:
    return Logs()


def an_order(num: str, status: OrderStatus = S.RUNNING, **more: Any) -> OrderState:
    return OrderState(
        **{"num": num, "name": f"o{num}", "status": status, "dispatched_at": NOW, **more}
    )


def a_state(*orders: OrderState) -> RunState:
    return RunState(
        run_id="run-1",
        trace_id="t",
        status=JobStatus.RUNNING,
        source="rows",
        created_at=NOW,
        total=len(orders),
        counts={},
        orders=orders,
    )


def test_the_log_of_an_ended_order_is_its_results(logs: Logs) -> None:
    logs.ends("0001", "a\nb\n", log_truncated=True)
    order = an_order("0001", S.SUCCEEDED)

    found = log_of(logs, a_state(order), order)

    assert (found.text, found.truncated, found.source) == ("a\nb\n", True, "result")
    assert logs.asked == [("result", "0001")]


@pytest.mark.parametrize(("use_lambda", "group"), [(True, "worker"), (False, "builds")])
def test_the_log_of_a_running_order_is_what_it_printed(
    logs: Logs, use_lambda: bool, group: str
) -> None:
    logs.prints("0001", "a", "", builds=not use_lambda)
    order = an_order("0001", use_lambda=use_lambda)

    found = log_of(logs, a_state(order), order)

    assert (found.text, found.source) == ("a\n\n", "live")
    assert logs.asked == [(group, "0001", NOW)]


def test_the_log_of_an_order_whose_result_expired_is_what_it_printed(logs: Logs) -> None:
    logs.prints("0001", "a")
    order = an_order("0001", S.FAILED)

    assert log_of(logs, a_state(order), order).source == "live"


@pytest.mark.parametrize(
    ("order", "note"),
    [
        (an_order("0001"), "printed nothing yet"),
        (an_order("0001", S.FAILED), "has expired"),
        (an_order("0001", S.QUEUED, dispatched_at=None), "has not started"),
        (an_order("0001", S.CANCELLED, dispatched_at=None), "never started"),
        (
            an_order("0001", S.SKIPPED, dispatched_at=None, reason="dependency a failed"),
            "dependency a failed",
        ),
    ],
)
def test_no_log_has_its_reason(logs: Logs, order: OrderState, note: str) -> None:
    found = log_of(logs, a_state(order), order)

    assert (found.text, found.source) == ("", None)
    assert note in (found.note or "")


def told_by(logs: Logs, only: str = "") -> tuple[Tail, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    return Tail(logs, "run-1", lambda num, text, _at: told.append((num, text)), only), told


def test_lines_are_told_once_however_often_they_are_found(logs: Logs) -> None:
    tail, told = told_by(logs)
    state = a_state(an_order("0001"))

    logs.prints("0001", "a")
    tail.look(state)
    logs.prints("0001", "b", at=NOW + 1)
    tail.look(state)
    tail.look(state)

    assert told == [("0001", "a"), ("0001", "b")]


def test_a_line_that_comes_late_is_told_all_the_same(logs: Logs) -> None:
    tail, told = told_by(logs)
    state = a_state(an_order("0001"))

    logs.prints("0001", "second", at=NOW + LATE_MS)
    tail.look(state)
    logs.prints("0001", "first", at=NOW + 1)
    tail.look(state)

    assert told == [("0001", "second"), ("0001", "first")]


def test_what_the_group_had_not_shown_comes_from_the_result(logs: Logs) -> None:
    tail, told = told_by(logs)
    logs.prints("0001", "a")
    tail.look(a_state(an_order("0001")))

    logs.ends("0001", "a\nb\n\n")
    logs.prints("0001", "b", at=NOW + 5)  # too late: the result has said it
    tail.look(a_state(an_order("0001", S.SUCCEEDED), an_order("0002")))
    tail.look(a_state(an_order("0001", S.SUCCEEDED), an_order("0002")))

    assert told == [("0001", "a"), ("0001", "b"), ("0001", "")]


def test_an_order_that_was_never_seen_running_is_told_from_its_result(logs: Logs) -> None:
    tail, told = told_by(logs)
    logs.ends("0001", "a\n")

    tail.look(a_state(an_order("0001", S.SUCCEEDED)))

    assert told == [("0001", "a")]


def test_orders_that_never_ran_are_not_asked_for(logs: Logs) -> None:
    tail, told = told_by(logs)

    tail.look(a_state(an_order("0001", S.SKIPPED, dispatched_at=None)))

    assert (told, logs.asked) == ([], [])


def test_one_order_alone_is_followed(logs: Logs) -> None:
    tail, told = told_by(logs, only="0002")
    logs.prints("0001", "a")
    logs.prints("0002", "b")
    logs.ends("0001", "a\n")

    tail.look(a_state(an_order("0001", S.SUCCEEDED), an_order("0002")))

    assert told == [("0002", "b")]
    assert logs.asked == [("worker", "0002", NOW)]


def test_builds_and_functions_are_asked_only_where_orders_run(logs: Logs) -> None:
    tail, told = told_by(logs)
    logs.prints("0001", "a")
    logs.prints("0002", "b", builds=True)

    tail.look(a_state(an_order("0001"), an_order("0002", use_lambda=False)))
    logs.ends("0001", "a\n")
    tail.look(a_state(an_order("0001", S.SUCCEEDED), an_order("0002", use_lambda=False)))

    assert told == [("0001", "a"), ("0002", "b")]
    assert [asked[0] for asked in logs.asked] == ["worker", "builds", "builds", "result"]


@pytest.mark.parametrize(
    ("told", "whole", "left"),
    [
        ([], ["a", "b"], ["a", "b"]),
        (["a"], ["a", "b"], ["b"]),
        (["a", "b"], ["a", "b"], []),
        (["a", "x"], ["a", "b"], ["b"]),
        (["a", "b", "c"], ["a"], []),
        (["b"], ["a", "b"], ["a", "b"]),
    ],
)
def test_the_rest_of_a_log_begins_where_it_differs(
    told: list[str], whole: list[str], left: list[str]
) -> None:
    assert list(rest(told, whole)) == left
