"""Following a run from outside until it ends: one small read every few seconds.

Rows are read only when the run's revision changed, and only of orders that had not ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from src.common.errors import Transient
from src.common.ports import Clock
from src.common.status import ACTIVE, OrderStatus
from src.remote import look
from src.remote.look import Records
from src.remote.state import OrderState, RunState, Source, from_rows

POLL_S: Final = 2.0
TICK_S: Final = 0.1
PATIENCE: Final = 30  # polls in a row that may fail before waiting is given up


class Watcher(Protocol):
    """Whoever shows a run while it goes on."""

    def accepted(self, run_id: str, orders: Mapping[str, str]) -> None:
        """The run's orders are known; `orders` maps numbers to names."""

    def order_changed(
        self, num: str, status: OrderStatus, at_ms: int, reason: str | None = None
    ) -> None:
        """An order has another status; `reason` where its commands do not say why."""

    def tick(self) -> None:
        """Some time passed."""


class Follower:
    """Follows one run.

    `names` are its orders (by number) where they are known before its rows are there. `on_poll` is
    called with every state whose orders are known, after what began and before what ended was told;
    `enough` says which state ends the following early.
    """

    def __init__(
        self,
        records: Records,
        run_id: str,
        watcher: Watcher,
        clock: Clock,
        *,
        names: Mapping[str, str] | None = None,
        on_poll: Callable[[RunState], None] | None = None,
        enough: Callable[[RunState], bool] = lambda _state: False,
    ) -> None:
        self._records, self._run_id = records, run_id
        self._watcher, self._clock = watcher, clock
        self._on_poll, self._enough = on_poll, enough
        self._orders: dict[str, OrderState] = {}
        self._rev: int | None = None  # of the run item, when the rows were read last
        self._introduced = names is not None
        self._numbered: Source = "rows"
        if names is not None:
            watcher.accepted(run_id, names)

    def until_end(self) -> RunState:
        """Return the state in which the run ended.

        Raises:
            UnknownRun: nothing tells of it.
            Denied, Transient, Permanent: it cannot be read; trouble that passes is waited out.
        """
        failures = 0
        while True:
            try:
                state = self._read()
            except Transient:
                failures += 1
                if failures == PATIENCE:
                    raise
            else:
                failures = 0
                self._tell(state)
                if state.ended or self._enough(state):
                    self._watcher.tick()
                    return state
            self._pause()

    def _pause(self) -> None:
        until = self._clock.now_ms() + int(POLL_S * 1000)
        while self._clock.now_ms() < until:
            self._watcher.tick()
            self._clock.sleep(TICK_S)

    def _read(self) -> RunState:
        run = self._records.run(self._run_id)
        if run is None:
            return look.expired(self._records, self._run_id)
        state = from_rows(run, {})
        if state.rev != self._rev:
            nums = [
                num
                for num in look.numbers(state.total)
                if num not in self._orders or not self._orders[num].ended
            ]
            # Later than the item, maybe: what they lack then comes with its next revision.
            fresh = from_rows(run, self._records.orders(self._run_id, nums)).orders
            self._orders |= {order.num: order for order in fresh}
            self._rev = state.rev
        return replace(state, orders=tuple(self._orders[num] for num in sorted(self._orders)))

    def _tell(self, state: RunState) -> None:
        """Tell what changed, in the order in which it happened; telling twice is once."""
        if not self._introduced and state.orders and (state.packaged or state.ended):
            self._introduced = True
            names = {order.num: order.name for order in state.orders}
            self._watcher.accepted(self._run_id, names)
            self._numbered = state.source
        if not self._introduced:
            return
        if state.source != self._numbered:  # the numbers may be others
            return
        now = self._clock.now_ms()
        began = [
            (at, order.num, order.status if order.status in ACTIVE else OrderStatus.RUNNING, None)
            for order in state.orders
            if (at := order.started_at or order.dispatched_at) is not None
        ]
        ended = [
            (_ended_at(order, state.created_at, now), order.num, order.status, order.reason)
            for order in state.orders
            if order.ended
        ]
        if self._on_poll is None:
            self._change(began + ended)
            return
        self._change(began)
        self._on_poll(state)
        self._change(ended)

    def _change(self, changes: Iterable[tuple[int, str, OrderStatus, str | None]]) -> None:
        for at, num, status, reason in sorted(changes, key=lambda change: change[0]):
            self._watcher.order_changed(num, status, at, reason)


def _ended_at(order: OrderState, created_at: int, now: int) -> int:
    """Return when an order ended, as far as it is known: what is carried over began so."""
    if order.finished_at is None and order.status is OrderStatus.SUCCEEDED:
        return created_at
    return order.finished_at or now
