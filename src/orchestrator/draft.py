"""One atomic step of a run in the making: it keeps counters, rows and events true.

A draft starts from what was read and collects changes until the transaction is full. Pure: it reads
no clock and no store; `decide` says what to do, the draft knows how the run's numbers follow.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import Any, Final

from src.common import keys
from src.common.records import EVENT_TTL_S, Change, Event, Order, Run
from src.common.status import ENDING_EVENT, TERMINAL, JobStatus, OrderEvent, OrderStatus, advance
from src.orchestrator import throttle
from src.orchestrator.actions import View

# DynamoDB takes 100 items in a transaction: the run, up to this many rows with one event each, and
# the few events of the run itself.
MAX_ROWS: Final = 45

_PAST: Final = {
    OrderEvent.CLAIM: "claimed",
    OrderEvent.HAND_OVER: "handed_over",
    OrderEvent.SUCCEED: "succeeded",
    OrderEvent.FAIL: "failed",
    OrderEvent.TIME_OUT: "timed_out",
    OrderEvent.CANCEL: "cancelled",
    OrderEvent.SKIP: "skipped",
}


class Draft:
    """Collects one `Change`."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.run: Run = view.run
        self.counts = Counter(dict(view.run.counts))
        self.ready = int(view.run.ready, 16)
        self.dispatching = list(view.run.dispatching)
        self.untold = list(view.run.untold)
        self.changed: dict[str, Order] = {}
        self.needs: set[str] = set()  # rows that must be read before the step is complete
        self._events: list[Event] = []

    @property
    def room(self) -> int:
        """How many more rows fit."""
        return MAX_ROWS - len(self.changed)

    def order(self, num: str) -> Order | None:
        """Return a row as this step leaves it; note it as needed when it was never read."""
        if num in self.changed:
            return self.changed[num]
        if num not in self._view.looked:
            self.needs.add(num)
        return self._view.orders.get(num)

    def set_run(self, **news: Any) -> None:
        """Change fields of the run item that the draft does not keep the books of."""
        self.run = replace(self.run, **news)

    def move(self, order: Order, event: OrderEvent, **news: Any) -> Order:
        """Let `event` happen to an order; counters, ready bitmap, lists and the story follow."""
        status = advance(order.status, event)
        moved = self._put(order, replace(order, status=status, **news))
        self.counts[order.status] -= 1
        self.counts[status] += 1
        self.ready &= ~(1 << int(order.num))
        if event is OrderEvent.CLAIM:
            self.dispatching.append(order.num)
        elif order.num in self.dispatching:
            self.dispatching.remove(order.num)
        if status in TERMINAL:
            if order.must_succeed and status is not OrderStatus.SUCCEEDED:
                self.set_run(unmet=self.run.unmet + 1)
            if order.dependents:
                self.untold.append((order.num, 0))
        self.tell(order.name, _PAST[event], status, moved.reason)
        return moved

    def let_go(self, order: Order) -> None:
        """Take one dependency from an order; the last one makes it ready."""
        self._put(order, replace(order, open=order.open - 1))
        if order.open == 1:
            self.ready |= 1 << int(order.num)

    def finish(self, order: Order, status: OrderStatus, **news: Any) -> None:
        """End an active order as its result says."""
        self.move(order, ENDING_EVENT[status], **news)

    def claim(self, order: Order) -> None:
        """Claim a ready order for hand-over: token, start window and latest end are fixed here."""
        now = self._view.now
        start_by = min(now + order.start_window * 1000, self.run.end_by)
        seed = f"{self._view.owner}:{self.run.rev}:{order.num}"
        self.move(
            order,
            OrderEvent.CLAIM,
            token=hashlib.sha256(seed.encode()).hexdigest()[:32],
            dispatched_at=now,
            start_by=start_by,
            end_by=min(start_by + order.timeout * 1000, self.run.end_by),
        )

    def put_ended(self, num: str, event: OrderEvent) -> None:
        """Put the row of a queued order that packaging has not written, ended by `event`."""
        run, names = self.run, self._view.names or {}
        self.changed[num] = order = Order(
            run_id=run.run_id,
            num=num,
            name=names.get(num, num),
            timeout=0,
            start_window=0,
            url_lifetime=0,
            ttl=run.ttl,
            identity="",  # no bundle will be encrypted to it
            status=advance(OrderStatus.QUEUED, event),
            reason=run.reason,
        )
        self.counts[OrderStatus.QUEUED] -= 1
        self.counts[order.status] += 1
        self.tell(order.name, _PAST[event], order.status, order.reason)

    def tell(
        self,
        order_name: str,
        event: str,
        status: str,
        message: str | None = None,
        *,
        epoch: int | None = None,
    ) -> None:
        """Add an event to the story, at `epoch` or now."""
        now = epoch or self._view.now
        self._events.append(
            Event(
                trace_id=self.run.trace_id,
                run_id=self.run.run_id,
                order_name=order_name,
                epoch=now,
                event=event,
                status=status,
                message=message,
                ttl=now // 1000 + EVENT_TTL_S,
            )
        )

    @property
    def open(self) -> int:
        """How many orders have not ended, as this step leaves the run."""
        ended = sum(self.counts[status] for status in TERMINAL)
        return self.run.total - ended

    def conclude(self) -> None:
        """Fix the run's status and end: what everything of finalizing derives from."""
        status = self.run.closing or (JobStatus.FAILED if self.run.unmet else JobStatus.SUCCEEDED)
        self.untold.clear()
        self.set_run(status=status, finished_at=self._view.now)
        self.tell(keys.JOB, "finished", status, self.run.reason)

    def change(self) -> Change | None:
        """Return the step, None when nothing changed."""
        run = replace(
            self.run,
            counts={str(status): count for status, count in self.counts.items() if count},
            ready=f"{self.ready:x}",
            dispatching=tuple(self.dispatching),
            untold=tuple(self.untold),
        )
        poked = keys.POKE in self._view.marks  # shows how a run goes on in which nothing happens
        if self.changed or self._events or poked:
            run = throttle.noted(run, self._view.now)
        if not self.changed and not self._events and run == self._view.run:
            return None
        rev = self._view.run.rev + 1
        return Change(
            run=replace(run, rev=rev, rev_by=f"{self._view.owner}:{rev}"),
            orders=tuple(self.changed.values()),
            events=tuple(self._events),
        )

    def _put(self, before: Order, after: Order) -> Order:
        stored = self._view.orders[before.num]
        self.changed[before.num] = replace(after, rev=stored.rev + 1)
        return self.changed[before.num]
