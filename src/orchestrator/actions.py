"""What the orchestrator can decide to do, as values: `decide` returns them, the app performs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from src.common.messages import Claim, Result
from src.common.records import Change, Order, Run
from src.common.status import TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one round knows: the run, what was read of it so far, and what the round has done.

    `looked` are the order numbers whose rows were read (absent ones are not in `orders`); `results`
    holds None for a result that was looked for and is not there.
    """

    run: Run
    marks: frozenset[str]
    owner: str
    now: int
    orders: Mapping[str, Order] = field(default_factory=dict)
    looked: frozenset[str] = frozenset()
    results: Mapping[str, Result | None] = field(default_factory=dict)
    names: Mapping[str, str] | None = None  # of orders, by number, as the request has them
    watched: bool = False  # the run's own watchdog was started
    handed: frozenset[str] = frozenset()  # handed over in this round
    deferred: frozenset[str] = frozenset()  # throttled: leave for the next round
    refused: Mapping[str, str] = field(default_factory=dict)  # cannot be handed over, and why
    stopping: frozenset[str] = frozenset()  # told to stop, before the run's closing was written
    ended: frozenset[str] = frozenset()  # this round tried to end them from outside
    acknowledged: frozenset[str] = frozenset()
    report: bool = False  # the comment became due with what was written

    def having(self, **news: Any) -> Self:
        """Return the view with some of it replaced."""
        return replace(self, **news)

    def committed(self, change: Change) -> Self:
        """Return the view once `change` is written."""
        rows = {order.num: order for order in change.orders}
        due = self.report or change.run.commented_at != self.run.commented_at
        return self.having(run=change.run, orders={**self.orders, **rows}, report=due)

    @property
    def settled(self) -> frozenset[str]:
        """The marks of orders whose end is written and acknowledged."""
        return frozenset(
            num
            for num in self.marks & self.orders.keys()
            if self.orders[num].status in TERMINAL
            and (num in self.acknowledged or self.orders[num].dispatched_at is None)
        )

    def next_round(self, marks: frozenset[str]) -> Self:
        """Return what still holds in the next round under the same lease.

        What was not there may have come, and what was put off is due again.
        """
        return replace(
            self,
            marks=marks,
            looked=frozenset(self.orders),
            results={num: result for num, result in self.results.items() if result is not None},
            handed=frozenset(),
            deferred=frozenset(),
            ended=frozenset(),
        )


@dataclass(frozen=True, slots=True)
class StartRunWatchdog:
    """Start the watchdog of the run itself (order number `0000`)."""

    run: Run


@dataclass(frozen=True, slots=True)
class Load:
    """Read rows."""

    nums: frozenset[str]


@dataclass(frozen=True, slots=True)
class LookUp:
    """Read results."""

    nums: frozenset[str]


@dataclass(frozen=True, slots=True)
class ReadNames:
    """Read the orders' names in the request."""

    digest: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell workers to stop, all at once: what else a cancel takes may last longer than it may."""

    nums: frozenset[str]


@dataclass(frozen=True, slots=True)
class Commit:
    """Write one atomic step."""

    change: Change


@dataclass(frozen=True, slots=True)
class HandOver:
    """Start an order's watchdog, then hand the order to its worker or build."""

    order: Order


@dataclass(frozen=True, slots=True)
class End:
    """End an order from outside: claim it, then write its result.

    Where a worker holds the claim it is told to stop; the result is written all the same when
    `force` is set, else it is left to the worker (and to the watchdog should the worker be dead).
    """

    num: str
    claim: Claim
    force: bool


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Tell an order's watchdog that the result took effect; `late` came after the end."""

    order: Order
    late: Result | None = None


Action = StartRunWatchdog | Load | LookUp | ReadNames | Stop | Commit | HandOver | End | Acknowledge
