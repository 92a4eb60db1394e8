"""The orchestrator: takes S3 events of callbacks and moves their runs on, under each run's lock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from src.common import keys
from src.common.codec import decode
from src.common.errors import IacCiError, LeaseLost, NoLock
from src.common.records import Lock, Run
from src.orchestrator.actions import View
from src.orchestrator.decide import decide
from src.orchestrator.finish import finalize
from src.orchestrator.lease import LAST_MOMENT_MS, Lease
from src.orchestrator.perform import EMPTY, Performer, Ports

log = logging.getLogger(__name__)

PLENTY_MS: Final = 600_000


class Orchestrator:
    """Lambda handler `orchestrator` over its ports."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def __call__(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Handle one S3 event with any number of records.

        Raises:
            Transient: something has to be tried again; the platform repeats the event.
            ExceptionGroup: several runs had trouble. The others were moved on all the same.
        """
        remaining = getattr(context, "get_remaining_time_in_millis", lambda: PLENTY_MS)
        errors: list[Exception] = []
        for run_id, marks in callbacks(event).items():
            try:
                self._advance(run_id, marks, remaining)
            except Exception as error:
                log.exception("moving %s on", run_id)
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("moving runs on", errors)
        return {"runs": sorted(callbacks(event))}

    def _advance(self, run_id: str, marks: frozenset[str], remaining: Callable[[], int]) -> None:
        lease = Lease(self._ports.locks, self._ports.clock, run_id)
        try:
            lock = lease.acquire(marks, remaining)
        except NoLock:
            # Only a run that has an item gets a lock: a late event must not make one (rule 3).
            run = self._ports.runs.run(run_id)
            if run is None:
                log.warning("dropping callbacks of unknown run %s: %s", run_id, sorted(marks))
                return
            if run.finished_at is not None:  # its lock has expired before it
                self._ports.internal.put(keys.finished_key(run_id), EMPTY)
                return
            self._ports.locks.mark(run, marks)
            lock = lease.acquire(marks, remaining)
        if lock is None:
            return
        if lock.completed:
            self._ports.internal.put(keys.finished_key(run_id), EMPTY)
            return
        try:
            view = self._read(lease, lock)
        except Exception:
            self._let_go(lease, lock)
            raise
        if view is None:
            log.warning("dropping callbacks of expired run %s: %s", run_id, sorted(lock.pending))
            lease.release(lock, lock.pending)
            return
        self._hold(lease, lock, view, remaining)

    def _read(self, lease: Lease, lock: Lock) -> View | None:
        """Read the run and the rows that the marks point at, under the lock."""
        marks = lock.pending | self._poked(lock)
        nums = [mark for mark in marks if keys.is_order_num(mark)]
        run, orders = self._ports.runs.run_and_orders(lock.run_id, nums)
        if run is None:
            return None
        return View(
            run=run,
            marks=marks,
            owner=lease.owner,
            now=self._ports.clock.now_ms(),
            orders=orders,
            looked=frozenset(orders),
        )

    def _poked(self, lock: Lock) -> frozenset[str]:
        """Return the order whose watchdog poked last: it may be acknowledged in S3 alone."""
        body = (
            self._ports.internal.get(keys.poke_key(lock.run_id))
            if keys.POKE in lock.pending
            else None
        )
        num = str(decode(body).get("num", "")) if body is not None else ""
        return frozenset({num}) if keys.is_order_num(num) else frozenset()

    def _hold(self, lease: Lease, lock: Lock, view: View, remaining: Callable[[], int]) -> None:
        """Go round until no mark is left, then free the lock."""
        while True:
            performer = Performer(self._ports)
            try:
                view = self._round(performer, lease, view)
            except LeaseLost:
                raise
            except Exception:
                self._let_go(lease, lock)
                raise
            if view.run.finished_at is not None:
                self._finalize(lease, view.run)
                return
            if performer.errors:
                self._let_go(lease, lock)
                raise performer.errors[0]
            if lease.release(lock, lock.pending):
                return
            if remaining() < LAST_MOMENT_MS:
                self._let_go(lease, lock)  # who made the marks waits, and takes over
                return
            # Else a steady stream of results would keep every waiting event from ending.
            lock = lease.take(settled=view.settled)
            view = view.next_round(lock.pending)

    def _round(self, performer: Performer, lease: Lease, view: View) -> View:
        """Decide and perform until nothing is left.

        A Conflict ends the round like any error: under the lock it means that the lease was lost,
        or that a call of ours took effect without our knowing; the repeated event reads afresh.
        """
        while actions := decide(view):
            for action in actions:
                lease.ensure()
                view = performer.perform(action, view)
            view = view.having(now=self._ports.clock.now_ms())
        return view

    def _let_go(self, lease: Lease, lock: Lock) -> None:
        """Free the lock with every mark left in place, so that the next event finds them."""
        try:
            while not lease.release(lock, frozenset()):
                lock = lease.take()
        except IacCiError:
            log.warning("the lock of %s stays until its lease runs out", lock.run_id)

    def _finalize(self, lease: Lease, run: Run) -> None:
        request = self._ports.internal.get(keys.request_key(run.digest))
        names = order_names(decode(request)) if request is not None else {}
        nums = [keys.order_num(position) for position in range(1, run.total + 1)]
        orders = self._ports.runs.orders(run.run_id, nums)
        names = {
            num: names.get(num) or (orders[num].name if num in orders else num) for num in nums
        }
        lease.ensure()
        finalize(self._ports, run, names, orders)
        self._ports.locks.complete(run.run_id, lease.owner)
        self._ports.internal.put(keys.finished_key(run.run_id), EMPTY)


def callbacks(event: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """Return the marks of each run in an S3 event; keys are URL-encoded there (rule 14)."""
    found: dict[str, set[str]] = {}
    for record in event.get("Records", ()):
        key = unquote_plus(str(record.get("s3", {}).get("object", {}).get("key", "")))
        parsed = keys.parse_callback(key)
        if parsed is None:
            log.warning("dropping an event for %r, which is no callback", key)
            continue
        found.setdefault(parsed[0], set()).add(parsed[1])
    return {run_id: frozenset(marks) for run_id, marks in found.items()}


def order_names(request: Mapping[str, Any]) -> dict[str, str]:
    """Return order number -> name of a stored request."""
    orders = request.get("orders", ())
    names = (
        list(orders) if isinstance(orders, Mapping) else [order["order_name"] for order in orders]
    )
    return {keys.order_num(position): name for position, name in enumerate(names, 1)}
