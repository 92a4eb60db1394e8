"""RunStore in memory: the same conditions and outcomes as the tables, at the price of a dict.

Records are immutable, so they are kept as they are. One lock makes each call atomic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from threading import Lock

from src.common.errors import Conflict
from src.common.limits import check_change
from src.common.records import Change, Event, Idempotency, Order, Packaging, Run
from src.common.records import Lock as RunLock
from src.local.memory_locks import MemoryLockStore


class MemoryRunStore:
    """The orders and order_events tables."""

    def __init__(self, locks: MemoryLockStore) -> None:
        self._locks = locks
        self._atomic = Lock()
        self._runs: dict[str, Run] = {}
        self._rows: dict[tuple[str, str], Order] = {}
        self._packagings: dict[str, Packaging] = {}
        self._requests: dict[str, Idempotency] = {}
        self._events: dict[str, dict[str, Event]] = {}  # trace_id -> sort key -> event

    def accept(self, run: Run, record: Idempotency, now: int) -> tuple[Run | None, Idempotency]:
        """Put run and idempotency record, both if absent; see the port."""
        with self._atomic:
            there = self._runs.get(run.run_id)
            in_force = self._requests.get(record.digest)
            if in_force is not None and in_force.expires_at <= now:
                in_force = None
            if there is not None or in_force is not None:
                return there, in_force or record
            self._runs[run.run_id] = run
            self._requests[record.digest] = record
            return None, record

    def run(self, run_id: str) -> Run | None:
        """Return the run item."""
        return self._runs.get(run_id)

    def order(self, run_id: str, num: str) -> Order | None:
        """Return one row."""
        return self._rows.get((run_id, num))

    def orders(self, run_id: str, nums: Iterable[str]) -> dict[str, Order]:
        """Return the rows that exist, by order number."""
        with self._atomic:
            found = ((num, self._rows.get((run_id, num))) for num in nums)
            return {num: row for num, row in found if row is not None}

    def run_and_orders(
        self, run_id: str, nums: Iterable[str]
    ) -> tuple[Run | None, dict[str, Order]]:
        """Return run item and rows."""
        return self.run(run_id), self.orders(run_id, nums)

    def look(
        self, run_id: str, nums: Iterable[str]
    ) -> tuple[RunLock | None, Run | None, dict[str, Order]]:
        """Return lock, run item and rows."""
        return self._locks.get(run_id), self.run(run_id), self.orders(run_id, nums)

    def packaging(self, run_id: str) -> Packaging | None:
        """Return the packaging row."""
        return self._packagings.get(run_id)

    def add_packaging(self, packaging: Packaging) -> Packaging:
        """Put the packaging row if absent; return the stored one."""
        with self._atomic:
            return self._packagings.setdefault(packaging.run_id, packaging)

    def add_orders(self, orders: Sequence[Order]) -> list[Order]:
        """Put each row if absent; return the stored rows in the given order."""
        with self._atomic:
            return [self._rows.setdefault((order.run_id, order.num), order) for order in orders]

    def commit(self, change: Change) -> None:
        """Write one change atomically; see the port."""
        check_change(change)
        run = change.run
        with self._atomic:
            there = self._runs.get(run.run_id)
            if there is None or there.rev != run.rev - 1:
                repeated = there is not None and (there.rev, there.rev_by) == (run.rev, run.rev_by)
                if repeated and run.rev_by:
                    return  # our own earlier write made that revision
                raise _conflict(run)
            for order in change.orders:
                row = self._rows.get((order.run_id, order.num))
                if (-1 if row is None else row.rev) != order.rev - 1:
                    raise _conflict(run)
            if change.lock is not None:
                self._locks.move(change.lock, f"committing {run.run_id} at revision {run.rev}")
            self._runs[run.run_id] = run
            for order in change.orders:
                self._rows[order.run_id, order.num] = order
            for event in change.events:
                self._put(event)

    def record(self, event: Event) -> None:
        """Put one event."""
        with self._atomic:
            self._put(event)

    def events(self, trace_id: str) -> list[Event]:
        """Return the events of a trace, oldest first."""
        with self._atomic:
            found = list(self._events.get(trace_id, {}).values())
        return sorted(found, key=lambda event: (event.epoch, event.sk))

    def everything(self) -> list[Run | Order | Packaging | Idempotency | Event]:
        """Return every record of both tables, for those who want to look through them."""
        with self._atomic:
            return [
                *self._runs.values(),
                *self._rows.values(),
                *self._packagings.values(),
                *self._requests.values(),
                *(event for events in self._events.values() for event in events.values()),
            ]

    def _put(self, event: Event) -> None:
        self._events.setdefault(event.trace_id, {})[event.sk] = event


def _conflict(run: Run) -> Conflict:
    return Conflict(f"committing {run.run_id} at revision {run.rev}: the stored one is another")
