"""The orchestrator: takes S3 events of callbacks and moves their runs on, under each run's lock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from src.common import keys, leg
from src.common.codec import decode
from src.common.errors import NoLock
from src.common.records import Lock, Run
from src.orchestrator.actions import View
from src.orchestrator.at_once import begin
from src.orchestrator.finish import reporter
from src.orchestrator.holding import Holding
from src.orchestrator.lease import Lease
from src.orchestrator.perform import EMPTY, Ports

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
        began = self._ports.clock.now_ms()
        errors: list[Exception] = []
        due: list[Run] = []
        for run_id, marks in callbacks(event).items():
            with leg.of(run_id, began):
                try:
                    self._advance(run_id, marks, remaining, due)
                except Exception as error:
                    log.exception("moving %s on", run_id)
                    errors.append(error)
        for run in due:  # after all else, and without any lock: it may take a while
            with leg.of(run.run_id, began, trace_id=run.trace_id):
                reporter(self._ports).progressed(run)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("moving runs on", errors)
        return {"runs": sorted(callbacks(event))}

    def _advance(
        self,
        run_id: str,
        marks: frozenset[str],
        remaining: Callable[[], int],
        due: list[Run],
    ) -> None:
        """Move a run on; it is added to `due` when its comment is."""
        lease = Lease(self._ports.locks, self._ports.clock, run_id)
        holding, seen = begin(self._ports, lease, run_id, marks)
        holding = holding or self._under_the_lock(lease, run_id, marks, remaining, seen)
        if holding is None:
            return
        try:
            holding.run(remaining)
        finally:
            if holding.to_report is not None:
                due.append(holding.to_report)

    def _under_the_lock(
        self,
        lease: Lease,
        run_id: str,
        marks: frozenset[str],
        remaining: Callable[[], int],
        seen: Lock | None,
    ) -> Holding | None:
        """Mark, try, wait (rule 3); None when nothing is left to do."""
        try:
            lock = lease.acquire(marks, remaining, seen)
        except NoLock:
            # Only a run that has an item gets a lock: a late event must not make one (rule 3).
            run = self._ports.runs.run(run_id)
            if run is None:
                log.warning("dropping callbacks of unknown run %s: %s", run_id, sorted(marks))
                return None
            if run.finished_at is not None and self._ports.locks.get(run_id) is None:
                # Its lock has expired before it. One that is there was made since we looked, and
                # `finished.json` is for its holder to put, after the done object.
                self._ports.internal.put(keys.finished_key(run_id), EMPTY)
                return None
            self._ports.locks.mark(run, marks)
            lock = lease.acquire(marks, remaining)
        if lock is None:
            return None
        leg.traced(lock.trace_id)
        if lock.completed:
            self._ports.internal.put(keys.finished_key(run_id), EMPTY)
            return None
        try:
            view = self._read(lease, lock)
        except Exception:
            lease.let_go(lock)
            raise
        if view is None:
            log.warning("dropping callbacks of expired run %s: %s", run_id, sorted(lock.pending))
            lease.release(lock, lock.pending)
            return None
        return Holding(self._ports, lease, lock, view)

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
