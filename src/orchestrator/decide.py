"""What a run needs next, as a pure function of what is known of it.

`decide(view)` returns the next actions; the app performs them, folds what came back into the view
and asks again until nothing is left. No clock, no store, no AWS: a test is two values and one
equality.

A round goes: watch the run, read what the marks point at, then one atomic step that takes in
results, ends what must end, tells dependents and claims what may start; then hand-overs, then
acknowledgements. A crash between any two of them is made good by the next round, since each is
derived from what is stored.
"""

from __future__ import annotations

from typing import Final

from src.common import keys
from src.common.records import Claim, Order, Result
from src.common.status import ACTIVE, TERMINAL, JobStatus, OrderEvent, OrderStatus
from src.orchestrator.actions import (
    Acknowledge,
    Action,
    Commit,
    End,
    HandOver,
    Load,
    LookUp,
    StartRunWatchdog,
    View,
)
from src.orchestrator.draft import Draft

MAX_CLAIMS: Final = (
    20  # orders claimed in one step: bounds what a crash leaves to be handed over again
)

_CLOSED: Final = {
    # How queued orders end when a run closes early, and how active ones do.
    JobStatus.CANCELLED: (OrderEvent.CANCEL, OrderStatus.CANCELLED),
    JobStatus.TIMED_OUT: (OrderEvent.SKIP, OrderStatus.TIMED_OUT),
    JobStatus.FAILED: (OrderEvent.SKIP, OrderStatus.FAILED),
}


def decide(view: View) -> tuple[Action, ...]:
    """Return what to do next, empty when the round is complete."""
    run = view.run
    if run.seen_at is None and not view.watched:
        return (StartRunWatchdog(run),)
    if missing := _rows_of_interest(view) - view.looked:
        return (Load(frozenset(missing)),)
    if unread := _results_of_interest(view) - view.results.keys():
        return (LookUp(frozenset(unread)),)
    if run.finished_at is not None:
        return _acknowledge(view)
    if endings := _endings(view):
        return endings
    draft = _draft(view)
    if draft.needs:
        return (Load(frozenset(draft.needs)),)
    if change := draft.change():
        return (Commit(change),)
    return _hand_overs(view) or _acknowledge(view)


def _sweeping(view: View) -> bool:
    return view.run.closing is not None or _closing(view) is not None


def _closing(view: View) -> tuple[JobStatus, str] | None:
    """Return why nothing may start any more, when that is so and not yet written."""
    if view.run.closing is not None or view.run.finished_at is not None:
        return None
    if keys.CANCEL in view.marks:
        return JobStatus.CANCELLED, "cancelled"
    packaging = view.results.get(keys.PACKAGING)
    if packaging is not None and packaging.status is not OrderStatus.SUCCEEDED:
        return JobStatus.FAILED, f"packaging {packaging.status}: {packaging.reason}"
    if view.now >= view.run.end_by:
        return JobStatus.TIMED_OUT, "the job's deadline passed"
    return None


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
    return nums


def _endings(view: View) -> tuple[Action, ...]:
    """End from outside what was refused by the platform, or runs on in a run that closed."""
    endings: list[Action] = []
    closing = view.run.closing
    for num, order in view.orders.items():
        if order.status not in ACTIVE or num in view.ended or view.results.get(num) is not None:
            continue
        if num in view.refused:
            endings.append(_end(view, num, OrderStatus.FAILED, view.refused[num], force=True))
        elif closing is not None:
            reason = view.run.reason or str(closing)
            force = closing is not JobStatus.CANCELLED
            endings.append(_end(view, num, _CLOSED[closing][1], reason, force=force))
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


def _draft(view: View) -> Draft:
    draft = Draft(view)
    if view.run.seen_at is None:
        draft.set_run(seen_at=view.now)
        message = f"{view.run.total} orders for {view.run.username}"
        draft.tell(keys.JOB, "accepted", JobStatus.RUNNING, message, epoch=view.run.created_at)
    if closing := _closing(view):
        draft.set_run(closing=closing[0], reason=closing[1])
        draft.tell(keys.JOB, "closing", closing[0], closing[1])
    packaging = view.results.get(keys.PACKAGING)
    packaged = packaging is not None and packaging.status is OrderStatus.SUCCEEDED
    if packaged and draft.run.packaged_at is None:
        draft.set_run(packaged_at=view.now)
        draft.tell(keys.JOB, "packaged", JobStatus.RUNNING)
    _take_in_results(view, draft)
    _confirm(view, draft)
    if draft.run.closing is not None:
        _sweep(view, draft)
    else:
        _tell_dependents(draft)
        _claim_ready(view, draft)
    if draft.open == 0 and not draft.needs:
        draft.conclude()
    return draft


def _take_in_results(view: View, draft: Draft) -> None:
    for num, result in sorted(view.results.items()):
        order = view.orders.get(num)
        if order is None or result is None:
            continue
        if order.status in ACTIVE and draft.room:
            _finish(draft, order, result)


def _finish(draft: Draft, order: Order, result: Result) -> None:
    draft.finish(
        order,
        result.status,
        exit_code=result.exit_code,
        started_at=result.started_at,
        finished_at=result.finished_at,
        reason=result.reason,
    )


def _confirm(view: View, draft: Draft) -> None:
    for num in view.run.dispatching:
        order = draft.order(num)
        if order is None or num not in view.handed or not draft.room:
            continue
        if order.status is OrderStatus.DISPATCHING:
            draft.move(order, OrderEvent.HAND_OVER)


def _sweep(view: View, draft: Draft) -> None:
    """End what is queued in a run that closed; rows that packaging never wrote count as skipped."""
    assert draft.run.closing is not None
    event = _CLOSED[draft.run.closing][0]
    for num in sorted(view.looked):
        order = draft.order(num)
        if order is not None and order.status is OrderStatus.QUEUED and draft.room:
            draft.move(order, event, reason=draft.run.reason)
    rows = [order for num in view.looked if (order := draft.order(num)) is not None]
    if not any(order.status is OrderStatus.QUEUED for order in rows):
        draft.drop_missing(draft.counts[OrderStatus.QUEUED])


def _tell_dependents(draft: Draft) -> None:
    """Tell the dependents of ended orders: one dependency less, or skipped; exactly once each."""
    at = 0
    while at < len(draft.untold):  # grows while it goes: who is skipped has dependents too
        num, offset = draft.untold[at]
        ended = draft.order(num)
        if ended is not None:
            draft.untold[at] = (num, offset + _tell(draft, ended, ended.dependents[offset:]))
        at += 1
    draft.untold = [(num, offset) for num, offset in draft.untold if not _told(draft, num, offset)]


def _tell(draft: Draft, ended: Order, dependents: tuple[str, ...]) -> int:
    """Tell as many dependents as are read and fit the step; return how many."""
    read = [draft.order(num) for num in dependents[: draft.room]]
    if None in read:
        return 0
    frees = ended.status is OrderStatus.SUCCEEDED or not ended.must_succeed
    for told, num in enumerate(dependents):
        if draft.room == 0 and num not in draft.changed:
            return told
        order = draft.order(num)
        if order is None:
            return told
        if order.status is not OrderStatus.QUEUED:
            continue
        if not frees:
            draft.move(order, OrderEvent.SKIP, reason=f"dependency {ended.name} {ended.status}")
        else:
            draft.let_go(order)
    return len(dependents)


def _told(draft: Draft, num: str, offset: int) -> bool:
    ended = draft.order(num)
    return ended is not None and offset >= len(ended.dependents)


def _claim_ready(view: View, draft: Draft) -> None:
    """Claim what may start, lowest number first, as far as `max_parallel` and the step allow."""
    if draft.run.packaged_at is None or view.deferred:
        return
    active = sum(draft.counts[status] for status in ACTIVE)
    slots = MAX_CLAIMS - len(draft.dispatching)
    if draft.run.max_parallel is not None:
        slots = min(slots, draft.run.max_parallel - active)
    for num in _lowest(draft.ready, min(slots, draft.room)):
        order = draft.order(num)
        if order is not None:
            draft.claim(order)


def _lowest(bitmap: int, count: int) -> list[str]:
    nums: list[str] = []
    while bitmap and len(nums) < count:
        bit = bitmap & -bitmap
        nums.append(keys.order_num(bit.bit_length() - 1))
        bitmap ^= bit
    return nums


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
