"""One atomic step of a run, as a pure function of what is known of it.

It takes in results, ends what must end, confirms hand-overs, tells dependents and claims what may
start, as far as one transaction holds; what does not fit goes on in the next step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from src.common import keys
from src.common.messages import Result
from src.common.records import Order
from src.common.status import ACTIVE, JobStatus, OrderEvent, OrderStatus
from src.common.text import count, word
from src.orchestrator.actions import View
from src.orchestrator.draft import Draft

MAX_CLAIMS: Final = 20  # in one step: bounds what a crash leaves to be handed over again

CLOSED: Final = {
    # How queued orders end when a run closes early, and how active ones do.
    JobStatus.CANCELLED: (OrderEvent.CANCEL, OrderStatus.CANCELLED),
    JobStatus.TIMED_OUT: (OrderEvent.SKIP, OrderStatus.TIMED_OUT),
    JobStatus.FAILED: (OrderEvent.SKIP, OrderStatus.FAILED),
}


def closing(view: View) -> tuple[JobStatus, str] | None:
    """Return why nothing may start any more, when that is so and not yet written."""
    if view.run.closing is not None or view.run.finished_at is not None:
        return None
    if keys.CANCEL in view.marks or view.results.get(keys.CANCEL) is not None:
        return JobStatus.CANCELLED, "cancelled"
    packaging = view.results.get(keys.PACKAGING)
    if packaging is not None and packaging.status is not OrderStatus.SUCCEEDED:
        return JobStatus.FAILED, f"packaging {packaging.status}: {packaging.reason}"
    if view.now >= view.run.end_by:
        return JobStatus.TIMED_OUT, "the job's deadline passed"
    return None


def step(view: View) -> Draft:
    """Return the next atomic step; what it needs to be complete is in its `needs`."""
    draft = Draft(view)
    if view.run.seen_at is None:
        draft.set_run(seen_at=view.now)
        message = f"{count(view.run.total, 'order')} for {view.run.username}"
        if view.run.rerun_of is not None:
            over = draft.counts[OrderStatus.SUCCEEDED]
            message += f", {over} carried over" if over else ""
            message += f", rerun of {view.run.rerun_of}"
        draft.tell(keys.JOB, "accepted", JobStatus.RUNNING, message, epoch=view.run.created_at)
    if why := closing(view):
        draft.set_run(closing=why[0], reason=why[1])
        draft.tell(keys.JOB, "closing", why[0], why[1])
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
    """End what is queued in a run that closed.

    A row that packaging has not written is put as ended: a packager that is late finds it there, as
    every write of a packager is put-if-absent. An order to be carried over has ended anyway.
    """
    assert draft.run.closing is not None
    event = CLOSED[draft.run.closing][0]
    for num in sorted(view.looked):
        order = draft.order(num)
        if not draft.room:
            return
        if order is None:
            if not draft.run.carries(num):
                draft.put_ended(num, event)
        elif order.status is OrderStatus.QUEUED:
            draft.move(order, event, reason=draft.run.reason)


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
    # An order that may fail frees its dependents by having run. One that was skipped stands for the
    # one before it that had to succeed and did not: nothing below may pass over that.
    skipped = ended.status is OrderStatus.SKIPPED
    frees = ended.status is OrderStatus.SUCCEEDED or not (ended.must_succeed or skipped)
    for told, num in enumerate(dependents):
        if draft.room == 0 and num not in draft.changed:
            return told
        order = draft.order(num)
        if order is None:
            return told
        if order.status is not OrderStatus.QUEUED:
            continue
        if not frees:
            why = f"dependency {ended.name} {word(ended.status)}"
            draft.move(order, OrderEvent.SKIP, reason=why)
        else:
            draft.let_go(order)
    return len(dependents)


def _told(draft: Draft, num: str, offset: int) -> bool:
    ended = draft.order(num)
    return ended is not None and offset >= len(ended.dependents)


def _claim_ready(view: View, draft: Draft) -> None:
    """Claim what may start, lowest number first, as far as `max_parallel` and the step allow."""
    if draft.run.packaged_at is None:
        return
    # Where the platform throttles, no more is handed over in this round; the other target goes on.
    throttled = {view.orders[num].use_lambda for num in view.deferred}
    slots = MAX_CLAIMS - len(set(draft.dispatching) - view.deferred)
    if draft.run.max_parallel is not None:
        active = sum(draft.counts[status] for status in ACTIVE)
        slots = min(slots, draft.run.max_parallel - active)
    for num in _numbers(draft.ready):
        if slots <= 0 or not draft.room:
            return
        order = draft.order(num)
        if order is None or order.use_lambda not in throttled:
            slots -= 1  # for one that has yet to be read, too
        if order is not None and order.use_lambda not in throttled:
            draft.claim(order)


def _numbers(bitmap: int) -> Iterator[str]:
    """Yield the order numbers in a bitmap, lowest first."""
    while bitmap:
        bit = bitmap & -bitmap
        yield keys.order_num(bit.bit_length() - 1)
        bitmap ^= bit
