"""Holding the lock of a run: mark, try, wait, renew, release (rule 3)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from src.common.errors import LockHeld, Transient
from src.common.ports import Clock, LockStore
from src.common.records import Lock

LEASE_MS: Final = 45_000
RENEW_BELOW_MS: Final = 20_000  # renew when less than this is left: longer than any one call may take
POLL_S: Final = 0.5
LAST_MOMENT_MS: Final = 30_000  # leave a wait while the platform still lets us raise


class Lease:
    """One holder's hold on a run's lock."""

    def __init__(self, locks: LockStore, clock: Clock, run_id: str) -> None:
        self.owner = str(uuid.uuid4())
        self.waited = False  # what was read before the lock was ours is old then
        self._locks = locks
        self._clock = clock
        self._run_id = run_id
        self._until = 0

    def acquire(self, marks: frozenset[str], remaining_ms: Callable[[], int]) -> Lock | None:
        """Take the lock, waiting for its holder; None once somebody else gave our marks their effect.

        Raises:
            Transient: our own time runs out first. The marks stay, and the platform repeats the event.
        """
        while True:
            try:
                return self.take()
            except LockHeld:
                pass
            while True:
                if remaining_ms() < LAST_MOMENT_MS:
                    raise Transient(f"waiting for the lock of {self._run_id}")
                self.waited = True
                self._clock.sleep(POLL_S)
                lock = self._locks.get(self._run_id)
                if lock is None or lock.completed or not (lock.pending & marks):
                    return None
                if not lock.held(self._clock.now_ms()):
                    break

    def take(self) -> Lock:
        """Take the lock, or take it again for the marks that came since.

        Raises:
            LockHeld: another holder's lease is running.
        """
        now = self._clock.now_ms()
        lock = self._locks.take(self._run_id, self.owner, now, now + LEASE_MS)
        self._until = now + LEASE_MS
        return lock

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
