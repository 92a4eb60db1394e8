"""What the platform and the machine decide: who goes on, who dies, what comes late or twice.

A simulation asks its policy; everything else in it follows from code under test. So a policy and a
job are a whole run, and running them again is a replay.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from src.local.stack import ORCHESTRATOR, WORKER
from src.local.world import Delivery
from tests.simulation.scheduler import Actor, first_come

MINUTE_MS: Final = 60_000
HAND_OVERS: Final = ("workers.start", "builds.start")
DELAYS_MS: Final = (10, 50, 200, 1_000, 15_000, 50_000)  # of events


@dataclass(frozen=True, slots=True)
class Die:
    """The process is killed.

    `lost`: an orchestrator's event is gone with it, as after three deaths. (A packager whose event
    is lost would only wait for its deadline.)
    """

    lost: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """The process stands still for so long, and then goes on as if nothing had been."""

    ms: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """The reply to a call is lost after its effect, and the SDK makes the call once more."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The platform has trouble: throttled, 5xx or no answer, after all attempts of the adapter.

    `permanent`: trouble that no repetition mends.
    """

    permanent: bool = False


Fault = Die | Pause | Repeat | Refuse


class Policy:
    """A calm day: nobody dies, every event comes once and at once, processes run to their end."""

    now: Callable[[], int]  # the simulation's time (epoch ms), which sets it
    late_ms: int = 0  # of delivery, on every event: stands apart from what a run may take

    def choose(self, current: Actor | None, ready: Sequence[Actor]) -> Actor:
        """Say who goes on of those who can."""
        return first_come(current, ready)

    def fault(self, number: int, call: str, when: str, actor: Actor) -> Fault | None:
        """Say what happens `before` or `after` the effect of the n-th call of the run."""
        return None

    def delays(self, delivery: Delivery) -> Sequence[int]:
        """Say when (ms from now) an event comes: once for each number."""
        return (0,)

    def joins(self) -> bool:
        """Say whether an S3 event brings those with it that are under way."""
        return False


@dataclass
class OneFault(Policy):
    """One fault at one place: the n-th call (1-based), before or after its effect."""

    number: int
    when: str
    what: Fault
    struck: str = ""

    def fault(self, number: int, call: str, when: str, actor: Actor) -> Fault | None:
        if (number, when) != (self.number, self.when):
            return None
        self.struck = f"{self.what} {when} call {number}, {actor.name}'s {call}"
        return self.what


@dataclass
class Duel(Policy):
    """Two processes at the same time, and no others' business: preempted where told.

    A switch is a call of one of them while the other could go on; `preempted` are the switches (in
    the order of the run) at which the other one does. `switches` counts what there was.
    """

    preempted: frozenset[int] = frozenset()
    contestants: set[str] = field(default_factory=set)
    switches: int = 0

    def choose(self, current: Actor | None, ready: Sequence[Actor]) -> Actor:
        usual = first_come(current, ready)
        if usual.name not in self.contestants:
            return usual
        other = next((a for a in ready if a is not usual and a.name in self.contestants), None)
        if other is None:
            return usual
        self.switches += 1
        return other if self.switches - 1 in self.preempted else usual


@dataclass
class Chance(Policy):
    """A bad day by seed: processes change places at any call, some die or stall, events stray."""

    random: random.Random
    faults: int = 3  # at most so many of a run

    def __post_init__(self) -> None:
        self._restless = self.random.choice((0.02, 0.1, 0.3, 0.7))
        self._deadly = self.random.choice((0.0, 0.0, 0.005, 0.02))
        self._sluggish = self.random.choice((0.0, 0.0, 0.005, 0.02))
        self._stray = self.random.choice((0.0, 0.1, 0.3))

    def choose(self, current: Actor | None, ready: Sequence[Actor]) -> Actor:
        if len(ready) == 1:
            return ready[0]
        if current in ready and self.random.random() >= self._restless:
            return current
        return self.random.choice(ready)

    def fault(self, number: int, call: str, when: str, actor: Actor) -> Fault | None:
        chance = self.random.random()
        if not self.faults or self._deadly <= chance <= 1 - self._sluggish:
            return None
        self.faults -= 1
        if self.random.random() < 0.4:
            if when == "before" and self.random.random() < 0.5:
                return Repeat()
            return Refuse(permanent=call in HAND_OVERS and self.random.random() < 0.5)
        if chance < self._deadly:
            return Die(lost=self.random.random() < 0.2)
        return Pause(self.random.choice((1_000, 20_000, 46_000, 100_000, 5 * MINUTE_MS)))

    def delays(self, delivery: Delivery) -> Sequence[int]:
        dues = [self._delay()]
        if self.random.random() < self._stray and delivery.function in (ORCHESTRATOR, WORKER):
            dues.append(self._delay())  # once more: delivery is at least once
        return dues

    def joins(self) -> bool:
        return self.random.random() < 0.2

    def _delay(self) -> int:
        if self.random.random() < self._stray:
            return self.random.choice(DELAYS_MS)
        return 0
