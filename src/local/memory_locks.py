"""LockStore in memory: the same conditions and outcomes as the table."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock as Mutex

from src.common.errors import LeaseLost, LockHeld, LockMoved, NoLock
from src.common.records import Lock, LockMove, Run


class MemoryLockStore:
    """The orchestrator_locks table."""

    def __init__(self) -> None:
        self._atomic = Mutex()
        self._locks: dict[str, Lock] = {}

    def mark(self, run: Run | Lock, marks: frozenset[str]) -> Lock:
        """Add `marks` to `pending`, raise `wake`; return the lock as it is afterwards."""
        with self._atomic:
            lock = self._locks.get(run.run_id) or Lock(
                run_id=run.run_id, trace_id=run.trace_id, flow_id=run.flow_id, ttl=run.ttl
            )
            return self._put(replace(lock, wake=lock.wake + 1, pending=lock.pending | marks))

    def take(
        self,
        run_id: str,
        owner: str,
        now: int,
        lease: int,
        *,
        marks: frozenset[str] = frozenset(),
        settled: frozenset[str] = frozenset(),
    ) -> Lock:
        """Take the lock until `lease`, marking it; LockHeld carries the record in force."""
        with self._atomic:
            lock = self._locks.get(run_id)
            if lock is None:
                raise NoLock(f"taking the lock of {run_id}: it was never marked")
            if lock.completed or (lock.held(now) and lock.owner != owner):
                raise LockHeld(lock)
            wake = lock.wake + bool(marks)
            pending = lock.pending | marks if marks else lock.pending - settled
            return self._put(replace(lock, owner=owner, lease=lease, wake=wake, pending=pending))

    def renew(self, run_id: str, owner: str, lease: int) -> None:
        """Extend the lease."""
        with self._atomic:
            self._put(replace(self._ours("renewing", run_id, owner), lease=lease))

    def release(self, run_id: str, owner: str, wake: int, done: frozenset[str]) -> bool:
        """Remove `done` from `pending` and free the lock; False if a mark came since `wake`."""
        with self._atomic:
            lock = self._ours("releasing", run_id, owner)
            if lock.wake != wake:
                return False
            self._put(replace(lock, pending=lock.pending - done, owner=None, lease=0))
            return True

    def complete(self, run_id: str, owner: str) -> None:
        """Free the lock for good and forget its marks."""
        with self._atomic:
            lock = self._locks.get(run_id)
            if lock is not None and lock.completed and lock.owner != owner:
                return
            lock = self._ours("completing", run_id, owner)
            done = replace(lock, completed=True, pending=frozenset(), owner=None, lease=0)
            self._put(done)

    def get(self, run_id: str) -> Lock | None:
        """Return the lock."""
        return self._locks.get(run_id)

    def move(self, move: LockMove, doing: str) -> None:
        """Do the lock's part of a change.

        Raises:
            LockMoved: it is not as it was read.
        """
        with self._atomic:
            lock, before = self._locks.get(move.after.run_id), move.before
            as_read = lock is not None and (lock.owner, lock.wake) == (before.owner, before.wake)
            if lock is None or not as_read or lock.completed:
                raise LockMoved(doing, lock)
            if move.after != before:
                self._put(move.after)

    def everything(self) -> list[Lock]:
        """Return every lock, for those who want to look through them."""
        with self._atomic:
            return list(self._locks.values())

    def _ours(self, doing: str, run_id: str, owner: str) -> Lock:
        lock = self._locks.get(run_id)
        if lock is None or lock.owner != owner:
            raise LeaseLost(f"{doing} the lock of {run_id}: {owner} lost it")
        return lock

    def _put(self, lock: Lock) -> Lock:
        self._locks[lock.run_id] = lock
        return lock
