"""What a run needs next, as a pure function of what is known of it.

`decide(view)` returns the next actions; the app performs them, folds what came back into the view
and asks again until nothing is left. No clock, no store, no AWS: a test is two values and one
equality.

A round goes: watch the run, read what the marks point at, then one atomic step that takes in
results, ends what must end, tells dependents and claims what may start; then hand-overs and
acknowledgements; then the step that confirms the hand-overs. A crash between any two of them is
made good by the next round, since each is derived from what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from src.common import keys
from src.common.messages import Claim
from src.common.records import Change
from src.common.status import ACTIVE, TERMINAL, JobStatus, OrderStatus
from src.orchestrator.actions import (
    Acknowledge,
    Action,
    Commit,
    End,
    HandOver,
    Load,
    LookUp,
    ReadNames,
    StartRunWatchdog,
    Stop,
    View,
)
from src.orchestrator.step import CLOSED, closing, step

RESULTS_AT_ONCE: Final = 50


def decide(view: View) -> tuple[Action, ...]:
    """Return what to do next, empty when the round is complete."""
    run = view.run
    if run.seen_at is None and not view.watched:
        return (StartRunWatchdog(run),)
    if missing := _rows_of_interest(view) - view.looked:
        return (Load(frozenset(missing)),)
    if running := _told_to_stop(view) - view.stopping:
        return (Stop(running),)
    if unread := sorted(_results_of_interest(view) - view.results.keys()):
        # In slices, since the lease is looked after between two actions.
        return tuple(LookUp(frozenset(batch)) for batch in _batches(unread, RESULTS_AT_ONCE))
    if run.finished_at is not None:
        return _acknowledge(view)
    absent = view.looked - view.orders.keys()
    if absent and _sweeping(view) and view.names is None:
        return (ReadNames(run.digest),)
    if endings := _endings(view):
        return endings
    draft = step(view)
    if draft.needs:
        return (Load(frozenset(draft.needs)),)
    if change := draft.change():
        # Before the hand-overs are confirmed: the lock may go with that write, and with the lock
        # the marks, which see to it that a dead holder's acknowledgements are made.
        return (view.handed and _acknowledge(view)) or (Commit(change),)
    return _hand_overs(view) or _acknowledge(view)


def is_last_write(view: View, change: Change) -> bool:
    """Return whether nothing but acknowledging is left of the round once `change` is written.

    The lock may then go with that write: an acknowledgement follows from a row that has ended, and
    may be made by anybody, at any time.
    """
    if change.run.finished_at is not None:
        return False
    return all(isinstance(action, Acknowledge) for action in decide(view.committed(change)))


def _sweeping(view: View) -> bool:
    return view.run.closing is not None or closing(view) is not None


def _told_to_stop(view: View) -> frozenset[str]:
    """Return who may run commands in a run that was just cancelled.

    They are told before anything else, so that a command is reached within seconds however many
    there are. Once the closing is written nobody is told here again: `End` does what is left.
    """
    why = closing(view)
    if why is None or why[0] is not JobStatus.CANCELLED:
        return frozenset()
    return frozenset(num for num, order in view.orders.items() if order.status in ACTIVE)


def _rows_of_interest(view: View) -> set[str]:
    if view.run.finished_at is None and (keys.POKE in view.marks or _sweeping(view)):
        return {keys.order_num(position) for position in range(1, view.run.total + 1)}
    return {mark for mark in view.marks if keys.is_order_num(mark)} | set(view.run.dispatching)


def _results_of_interest(view: View) -> set[str]:
    nums = {mark for mark in view.marks if mark in view.orders}
    if keys.POKE in view.marks or _sweeping(view):
        nums |= {num for num, order in view.orders.items() if order.status in ACTIVE}
    if view.run.packaged_at is None and (view.marks & {keys.PACKAGING, keys.POKE}):
        nums.add(keys.PACKAGING)
    if keys.POKE in view.marks and view.run.closing is None:
        nums.add(keys.CANCEL)  # its event may be lost; it lies where a result would
    return nums


def _batches(nums: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(nums), size):
        yield nums[start : start + size]


def _endings(view: View) -> tuple[Action, ...]:
    """End from outside what was refused by the platform, or runs on in a run that closed."""
    endings: list[Action] = []
    closing = view.run.closing
    for num, order in view.orders.items():
        if order.status not in ACTIVE or num in view.ended or view.results.get(num) is not None:
            continue
        if num in view.refused:
            endings.append(_end(view, num, OrderStatus.FAILED, view.refused[num], force=False))
        elif closing is not None:
            reason = view.run.reason or str(closing)
            force = closing is not JobStatus.CANCELLED
            endings.append(_end(view, num, CLOSED[closing][1], reason, force=force))
    return tuple(endings)


def _end(view: View, num: str, status: OrderStatus, reason: str, *, force: bool) -> End:
    claim = Claim(
        by="orchestrator",
        nonce=view.owner,
        claimed_at=view.now,
        end_by=view.now,
        status=status,
        reason=reason,
    )
    return End(num, claim, force)


def _hand_overs(view: View) -> tuple[Action, ...]:
    settled = view.handed | view.deferred | view.refused.keys()
    return tuple(
        HandOver(order)
        for num in view.run.dispatching
        if num not in settled and (order := view.orders.get(num)) is not None
    )


def _acknowledge(view: View) -> tuple[Action, ...]:
    """Acknowledge what took effect; a result after the order's end is told, not taken in."""
    acknowledgements = []
    for num in sorted((view.marks | view.results.keys()) & view.orders.keys() - view.acknowledged):
        order, result = view.orders[num], view.results.get(num)
        late = result if result is not None and result.status is not order.status else None
        if order.status in TERMINAL and (order.dispatched_at is not None or late is not None):
            acknowledgements.append(Acknowledge(order, late))
    return tuple(acknowledgements)
