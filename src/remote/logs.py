"""The log of an order, from wherever it can be had: its result, or the lines that it prints.

The result holds the whole log (head and tail of a long one) once the order has ended, for a day.
Before and after, what the worker printed lies in its log group, as long as that keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from src.common.messages import Result
from src.remote.state import OrderState, RunState

# Of what is asked for again: log groups may take this long to show a line.
LATE_MS: Final = 15_000

From = Literal["result", "live"]


@dataclass(frozen=True, slots=True)
class LiveLine:
    """A line in a log group."""

    id: str
    at: int  # epoch ms
    num: str
    text: str


class LogSource(Protocol):
    """Where logs are read; raises as `Records` does."""

    def result(self, run_id: str, num: str) -> Result | None:
        """Return how an order ended, with its log."""

    def lines(self, run_id: str, num: str, since: int, *, builds: bool) -> Iterator[LiveLine]:
        """Yield what an order (all of the run with num "") printed since a time, oldest first.

        `builds` says which log group: that of builds, or of the worker function.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLog:
    """The log of one order; `source` is None when nothing is to be had, and `note` says why."""

    order: OrderState
    text: str = ""
    truncated: bool = False
    source: From | None = None
    note: str | None = None


def log_of(source: LogSource, state: RunState, order: OrderState) -> OrderLog:
    """Return the log of an order as far as it is there."""
    if order.started_at is None and order.dispatched_at is None:
        why = order.reason or ("it has not started" if not order.ended else "it never started")
        return OrderLog(order=order, note=why)
    result = source.result(state.run_id, order.num) if order.ended else None
    if result is not None:
        return OrderLog(
            order=order, text=result.log, truncated=result.log_truncated, source="result"
        )
    since = order.dispatched_at or state.created_at
    found = source.lines(state.run_id, order.num, since, builds=not order.use_lambda)
    text = "".join(line.text + "\n" for line in found)
    if text:
        return OrderLog(order=order, text=text, source="live")
    if order.ended:
        return OrderLog(order=order, note="its log has expired")
    return OrderLog(order=order, note="it has printed nothing yet")


@dataclass
class Tail:
    """Tells every line of a run's orders once, while they run and to their end.

    `line` gets order number, text and time. What the log group had not shown when an order ended
    comes from its result.
    """

    source: LogSource
    run_id: str
    line: Callable[[str, str, int], None]
    only: str = ""  # the number of one order; else all
    _since: dict[bool, int] = field(default_factory=dict)  # by log group
    _seen: set[tuple[bool, str]] = field(default_factory=set)
    _told: dict[str, list[str]] = field(default_factory=dict)  # of orders that have not ended
    _closed: set[str] = field(default_factory=set)

    def look(self, state: RunState) -> None:
        """Tell what is new, given where the run stands now."""
        orders = [order for order in state.orders if self.only in ("", order.num)]
        active = [order for order in orders if not order.ended and order.dispatched_at is not None]
        for builds in sorted({not order.use_lambda for order in active}):
            there = [order.dispatched_at or 0 for order in active if order.use_lambda != builds]
            self._tell(builds=builds, since=self._since.setdefault(builds, min(there)))
        for order in orders:
            if order.ended and order.num not in self._closed:
                self._closed.add(order.num)
                self._finish(order)

    def _tell(self, *, builds: bool, since: int) -> None:
        for line in self.source.lines(self.run_id, self.only, since, builds=builds):
            self._since[builds] = max(self._since[builds], line.at - LATE_MS)
            if (builds, line.id) in self._seen or line.num in self._closed:
                continue
            self._seen.add((builds, line.id))
            self._told.setdefault(line.num, []).append(line.text)
            self.line(line.num, line.text, line.at)

    def _finish(self, order: OrderState) -> None:
        told = self._told.pop(order.num, [])
        if order.started_at is None and order.dispatched_at is None:
            return
        result = self.source.result(self.run_id, order.num)
        if result is None:
            return
        at = order.finished_at or result.finished_at or 0
        whole = result.log.removesuffix("\n").split("\n") if result.log else []
        for text in rest(told, whole):
            self.line(order.num, text, at)


def rest(told: list[str], whole: list[str]) -> Iterable[str]:
    """Return the lines of a log after those that were told.

    Where they differ (a log that was cut, lines that came late) the log is told from the first
    difference on: twice is better than never.
    """
    same = 0
    while same < len(told) and same < len(whole) and told[same] == whole[same]:
        same += 1
    return whole[same:]
