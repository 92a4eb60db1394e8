"""Orders that a run takes over from an earlier one instead of running them again.

A request names the earlier run (`rerun_of`) and the orders that succeeded there (`carried`). That
they did is looked up when the run is packaged: their rows are put as succeeded, nothing of their
code or secrets is fetched, and they never start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeVar

from src.common import keys
from src.common.errors import PackagingError, Problem
from src.common.fieldpath import item, shown
from src.common.job import Job, OrderSpec
from src.common.ports import RunStore
from src.common.records import EVENT_TTL_S, Event, Order, Run
from src.common.status import OrderStatus
from src.common.validation_rules import Nearest

REASON: Final = "carried over from run "  # and its id: of the run in which the order ran

_T = TypeVar("_T")


def problems(body: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the two fields by themselves."""
    rerun_of, carried = body.get("rerun_of"), body.get("carried")
    if rerun_of is not None and not (isinstance(rerun_of, str) and keys.RUN_ID.fullmatch(rerun_of)):
        message = f"must be 1 to 64 of the characters A-Z a-z 0-9 -, got {shown(rerun_of)}"
        yield Problem("rerun_of", message)
    if carried is None:
        return
    if not isinstance(carried, list) or not all(isinstance(name, str) for name in carried):
        yield Problem("carried", f"must be a list of order names, got {shown(carried)}")
    elif carried and rerun_of is None:
        yield Problem("carried", "needs rerun_of: the run that the orders are carried over from")


def problems_in(job: Job, carried: Collection[str]) -> Iterator[Problem]:
    """Yield what keeps these orders of the job from being carried over.

    An order that waits for one that runs again would stand on what that one makes anew, so whatever
    a carried order depends on is carried too.
    """
    nearest = Nearest(2_000)
    known = set(carried)
    for position, name in enumerate(carried):
        at = item("carried", position)
        if name not in job.numbers:
            hint = nearest.hint(name, list(job.numbers))
            yield Problem(at, f"no order is called {shown(name)}{hint}")
            continue
        order = job.orders[int(job.numbers[name]) - 1]
        for need in order.dependencies:
            if need not in known:
                yield Problem(at, f"{shown(name)} depends on {shown(need)}, which is not carried")
    if len(known) == len(job.orders) and known <= job.numbers.keys():
        yield Problem("carried", "names every order, so nothing would run")


class Each(Protocol):
    """Does the work on every item, several at a time where that saves time."""

    def __call__(self, work: Callable[[_T], None], items: Iterable[_T], /) -> None:
        """Do it; raises what the first failing one raised."""


def take_over(runs: RunStore, each: Each, run: Run, job: Job) -> dict[str, str]:
    """Return what the row of each carried order says, having looked at the earlier run's.

    Their events are told here, as nobody else comes to such orders.

    Raises:
        PackagingError: one of them did not succeed there.
    """
    reasons: dict[str, str] = {}
    found: list[Problem] = []

    def look(order: OrderSpec) -> None:
        assert run.rerun_of is not None
        row = runs.order(run.rerun_of, order.num)
        if row is None or row.name != order.order_name or row.status is not OrderStatus.SUCCEEDED:
            found.append(_refusal(order.order_name, run.rerun_of, row))
            return
        why = row.reason if (row.reason or "").startswith(REASON) else REASON + run.rerun_of
        assert why is not None
        reasons[order.num] = why
        runs.record(_event(run, order, why))

    each(look, [order for order in job.orders if run.carries(order.num)])
    if found:
        raise PackagingError(sorted(found, key=str))
    return reasons


def _refusal(name: str, run_id: str, row: Order | None) -> Problem:
    where = f"order {shown(name)} of run {run_id}"
    if row is None or row.name != name:
        why = "is not there (any more): rows live until a day after their run's deadline"
        return Problem("carried", f"{where} {why}")
    return Problem("carried", f"{where} is {row.status}; only what succeeded is carried over")


def _event(run: Run, order: OrderSpec, why: str) -> Event:
    return Event(
        trace_id=run.trace_id,
        run_id=run.run_id,
        order_name=order.order_name,
        epoch=run.created_at,  # the same each time: packaging again tells nothing twice
        event="carried",
        status=OrderStatus.SUCCEEDED,
        message=why,
        ttl=run.created_at // 1000 + EVENT_TTL_S,
    )
