"""Holding the lock of a run: mark, try, wait, renew, release (rule 3)."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Final

from src.common.errors import IacCiError, LockHeld, Transient
from src.common.ports import Clock, LockStore
from src.common.records import Lock

log = logging.getLogger(__name__)

LEASE_MS: Final = 45_000
RENEW_BELOW_MS: Final = (
    20_000  # renew when less than this is left: longer than any one call may take
)
POLL_S: Final = 0.5
LAST_MOMENT_MS: Final = 30_000  # leave a wait while the platform still lets us raise


class Lease:
    """One holder's hold on a run's lock."""

    def __init__(self, locks: LockStore, clock: Clock, run_id: str) -> None:
        self.owner = str(uuid.uuid4())
        self._locks = locks
        self._clock = clock
        self._run_id = run_id
        self._until = 0

    def acquire(
        self, marks: frozenset[str], remaining_ms: Callable[[], int], seen: Lock | None = None
    ) -> Lock | None:
        """Mark the lock and take it, waiting for its holder; `seen` is what is known of it.

        Returns the lock, taken or completed; None once somebody else gave our marks their effect.

        Raises:
            NoLock: the run has no lock. Transient: our own time runs out first. The marks stay, and
            the platform repeats the event.
        """
        if seen is not None and seen.held(self._clock.now_ms()):
            lock = seen
        else:
            try:
                return self.take(marks)
            except LockHeld as held:
                lock = held.lock
        if not lock.completed:
            lock = self._locks.mark(lock, marks)
        while not lock.completed:
            if not lock.held(self._clock.now_ms()):
                try:
                    return self.take()
                except LockHeld as held:
                    lock = held.lock
                    continue
            if remaining_ms() < LAST_MOMENT_MS:
                raise Transient(f"waiting for the lock of {self._run_id}")
            self._clock.sleep(POLL_S)
            seen = self._locks.get(self._run_id)
            if seen is None or not (seen.completed or seen.pending & marks):
                return None
            lock = seen
        return lock

    def take(
        self, marks: frozenset[str] = frozenset(), settled: frozenset[str] = frozenset()
    ) -> Lock:
        """Take the lock, or take it again for the marks that came since.

        Raises:
            LockHeld: another holder's lease is running, or the lock is completed.
            NoLock: the run has no lock.
        """
        now = self._clock.now_ms()
        lock = self._locks.take(
            self._run_id, self.owner, now, now + LEASE_MS, marks=marks, settled=settled
        )
        self._until = now + LEASE_MS
        return lock

    def taking(self, lock: Lock, marks: frozenset[str]) -> Lock:
        """Return an idle lock as taken from now on: for a change that takes it along."""
        return lock.taken(self.owner, self._clock.now_ms() + LEASE_MS, marks)

    def took(self, lock: Lock) -> None:
        """Note that a change took the lock."""
        self._until = lock.lease

    def ensure(self) -> None:
        """Make sure that the lock is still ours for the next action.

        Raises:
            LeaseLost: it is not; nothing may be done any more.
        """
        now = self._clock.now_ms()
        if self._until - now < RENEW_BELOW_MS:
            self._locks.renew(self._run_id, self.owner, now + LEASE_MS)
            self._until = now + LEASE_MS

    def release(self, lock: Lock, done: frozenset[str]) -> bool:
        """Free the lock unless a mark came since `lock` was read; False then.

        Raises:
            LeaseLost: it is not ours any more.
        """
        return self._locks.release(self._run_id, self.owner, lock.wake, done)

    def let_go(self, lock: Lock) -> None:
        """Free the lock with every mark left in place, so that the next event finds them."""
        try:
            while not self.release(lock, frozenset()):
                lock = self.take()
        except IacCiError:
            log.warning("the lock of %s stays until its lease runs out", self._run_id)
