"""What the holder of a run's lock does: go round until no mark is left, then free the lock.

The lock goes with the last write of a round wherever that can be told beforehand; what is left then
are acknowledgements, which need no lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from src.common.errors import LeaseLost, LockMoved
from src.common.records import Lock, LockMove, Run
from src.orchestrator.actions import Action, Commit, View
from src.orchestrator.decide import decide, is_last_write
from src.orchestrator.finish import finalize
from src.orchestrator.lease import LAST_MOMENT_MS, Lease
from src.orchestrator.perform import Performer, Ports


class Holding:
    """One holder at work on one run; `lock` is as it was left by the last write of ours."""

    def __init__(self, ports: Ports, lease: Lease, lock: Lock, view: View) -> None:
        self._ports = ports
        self._lease = lease
        self._lock = lock
        self._view = view

    def run(self, remaining: Callable[[], int]) -> None:
        """Go round until no mark is left, then free the lock; `remaining` are our own ms."""
        while True:
            performer = Performer(self._ports)
            try:
                self._round(performer)
            except LeaseLost:
                raise
            except Exception:
                self._let_go()
                raise
            if self._freed:
                return
            if self._view.run.finished_at is not None:
                finalize(self._ports, self._view.run, self._lease)
                return
            if performer.errors:
                self._let_go()
                raise performer.errors[0]
            if self._lease.release(self._lock, self._lock.pending):
                return
            if remaining() < LAST_MOMENT_MS:
                self._let_go()  # who made the marks waits, and takes over
                return
            # Else a steady stream of results would keep every waiting event from ending.
            self._lock = self._lease.take(settled=self._view.settled)
            self._view = self._view.next_round(self._lock.pending)

    @property
    def to_report(self) -> Run | None:
        """The run, if its comment became due with a change that was written under this hold."""
        over = self._view.run.finished_at is not None
        return self._view.run if self._view.report and not over else None

    @property
    def _freed(self) -> bool:
        return self._lock.owner is None

    def _round(self, performer: Performer) -> None:
        """Decide and perform until nothing is left.

        A Conflict ends the round like any error: under the lock it means that the lease was lost,
        or that a call of ours took effect without our knowing; the repeated event reads afresh.
        """
        while actions := decide(self._view):
            for action in actions:
                if not self._freed:
                    self._lease.ensure()
                self._perform(performer, action)
            if not self._freed:  # else what is left was decided at this very time
                self._view = self._view.having(now=self._ports.clock.now_ms())

    def _perform(self, performer: Performer, action: Action) -> None:
        if isinstance(action, Commit) and not performer.errors and self._commit_and_free(action):
            return
        self._view = performer.perform(action, self._view)

    def _commit_and_free(self, commit: Commit) -> bool:
        """Write the round's last change and free the lock with it; False: nothing was written.

        Raises:
            LeaseLost: the lock is not ours any more.
        """
        if not is_last_write(self._view, commit.change):
            return False
        freed = self._lock.freed()
        move = LockMove(before=self._lock, after=freed)
        try:
            self._ports.runs.commit(replace(commit.change, lock=move))
        except LockMoved as moved:
            if moved.lock is None or moved.lock.owner != self._lease.owner:
                raise LeaseLost(f"{self._lock.run_id}: {self._lease.owner} lost the lock") from None
            return False  # a mark came: the next round is for that one
        self._lock = freed
        self._view = self._view.committed(commit.change)
        return True

    def _let_go(self) -> None:
        if not self._freed:
            self._lease.let_go(self._lock)
