"""Simulated processes on owned time: one runs at a time, and only up to its next call.

A process is a greenlet that hands the baton back before each call to the platform (`point`) and
when it waits (`sleep`). Who goes on is the policy's decision, so a schedule is a value that can be
repeated. Time moves by `CALL_MS` a call, and jumps to the next timer when nobody can go on. Nothing
here waits in real time, and nothing here knows what the processes do.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from greenlet import GreenletExit, getcurrent, greenlet

CALL_MS: Final = 10  # what a call to the platform takes


class Died(BaseException):
    """A process that is killed; no Exception, since nothing in it gets to handle that."""


@dataclass(eq=False)
class Actor:
    """One process: a name for the story, and until when (epoch ms) the platform lets it run."""

    name: str
    until: int | None
    ended: Callable[[BaseException | None], None]
    dead: bool = False
    wake_at: int | None = None  # None: it can go on
    order: str | None = None  # the order that it was handed, of a worker
    request: str | None = None  # of an invocation: the same for each attempt
    run: greenlet | None = field(default=None, repr=False)


Choose = Callable[[Actor | None, Sequence[Actor]], Actor]


def first_come(current: Actor | None, ready: Sequence[Actor]) -> Actor:
    """Let a process go on until it waits or ends, then the one that came first."""
    return current if current in ready else ready[0]


class Scheduler:
    """Owns time, processes and timers."""

    def __init__(self, now: int, choose: Choose = first_come) -> None:
        self.now = now
        self.choose = choose
        self.spawned: Callable[[Actor], None] = lambda _actor: None  # is told of each new one
        self._hub = getcurrent()
        self._actors: list[Actor] = []  # in the order in which they came
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._last: Actor | None = None

    @property
    def current(self) -> Actor | None:
        """The process that is running; None outside of any."""
        if self._last is not None and self._last.run is getcurrent():
            return self._last
        return None

    def spawn(
        self,
        name: str,
        work: Callable[[], object],
        *,
        until: int | None = None,
        order: str | None = None,
        request: str | None = None,
        ended: Callable[[BaseException | None], None] = lambda _error: None,
    ) -> Actor:
        """Add a process; `ended` is told its error, None of one that returned."""
        actor = Actor(name, until, ended, order=order, request=request)
        actor.run = greenlet(lambda: self._live(actor, work), parent=self._hub)
        self._actors.append(actor)
        self.spawned(actor)
        return actor

    def at(self, due: int, work: Callable[[], None]) -> None:
        """Do some work of the platform's at a time."""
        heapq.heappush(self._timers, (due, next(self._numbers), work))

    def after(self, seconds: float, work: Callable[[], None]) -> None:
        """Do some work of the platform's later."""
        self.at(self.now + int(seconds * 1000), work)

    def point(self) -> None:
        """Let others go on, if the policy says so; called by a process before each call."""
        self._give_way(None)

    def sleep(self, ms: int) -> None:
        """Wait; called by a process."""
        actor = self.current
        assert actor is not None, "only a process can wait"
        wake_at = self.now + max(0, ms)
        self._give_way(wake_at if actor.until is None else min(wake_at, actor.until))

    def die(self) -> None:
        """End the process that calls; it will do nothing any more."""
        actor = self.current
        assert actor is not None
        actor.dead = True
        raise Died(actor.name)

    def step(self) -> bool:
        """Let one process go on up to its next point; False when nothing will ever happen."""
        while self._timers and self._timers[0][0] <= self.now:
            heapq.heappop(self._timers)[2]()
        ready = [a for a in self._actors if a.wake_at is None or a.wake_at <= self.now]
        if not ready:
            return self._advance()
        self._resume(self.choose(self._last, ready))
        return True

    def close(self) -> None:
        """Kill every process that is left, so that none wakes up in another simulation."""
        for actor in self._actors:
            actor.dead = True
            if actor.run:  # begun, and not ended
                self._last = actor
                actor.run.throw(Died)
        self._actors.clear()

    def _advance(self) -> bool:
        dues = [actor.wake_at for actor in self._actors if actor.wake_at is not None]
        if self._timers:
            dues.append(self._timers[0][0])
        if not dues:
            return False
        self.now = max(self.now, min(dues))
        return True

    def _resume(self, actor: Actor) -> None:
        actor.wake_at = None
        self._last = actor
        assert actor.run is not None
        error = actor.run.switch()
        if actor.run.dead:
            self._actors.remove(actor)
            self._last = None
            actor.ended(error)

    def _live(self, actor: Actor, work: Callable[[], object]) -> BaseException | None:
        """Be the process; its greenlet returns how it ended."""
        try:
            self._check(actor)
            work()
        except GreenletExit:
            raise
        except BaseException as error:  # noqa: BLE001 - how a process ends is the platform's business
            return error
        return Died(actor.name) if actor.dead else None

    def _give_way(self, wake_at: int | None) -> None:
        actor = self.current
        if actor is None:
            return
        self._check(actor)
        actor.wake_at = wake_at
        self._hub.switch()
        self._check(actor)

    def _check(self, actor: Actor) -> None:
        """Kill a process whose time is over: Lambda's timeout."""
        if actor.until is not None and self.now >= actor.until:
            actor.dead = True
        if actor.dead:
            raise Died(actor.name)
