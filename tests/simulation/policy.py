"""What the platform and the machine decide: who goes on, who dies, what comes late or twice.

A simulation asks its policy; everything else in it follows from code under test. So a policy and a
job are a whole run, and running them again is a replay.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from src.local.stack import ORCHESTRATOR, WORKER
from src.local.world import Delivery
from tests.simulation.scheduler import Actor, first_come

MINUTE_MS: Final = 60_000


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


Fault = Die | Pause


class Policy:
    """A calm day: nobody dies, every event comes once and at once, processes run to their end."""

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
class Preempt(Policy):
    """Takes the baton from a process at chosen points: `{switch: index among the others}`.

    A switch is a point at which more than one of `contestants` can go on; `seen` is how many others
    there were at each, by which the neighbouring schedules are found.
    """

    preemptions: Mapping[int, int] = field(default_factory=dict)
    contestants: frozenset[str] = frozenset()
    seen: list[int] = field(default_factory=list)

    def choose(self, current: Actor | None, ready: Sequence[Actor]) -> Actor:
        usual = first_come(current, ready)
        others = [a for a in ready if a is not usual and self._counts(a)]
        if not others or not self._counts(usual):
            return usual
        at = len(self.seen)
        self.seen.append(len(others))
        return others[self.preemptions[at]] if at in self.preemptions else usual

    def _counts(self, actor: Actor) -> bool:
        return not self.contestants or actor.name in self.contestants


@dataclass
class Chance(Policy):
    """A bad day by seed: processes change places at any call, some die or stall, events stray."""

    seed: int
    deaths: int = 2  # at most so many of a run
    pauses: int = 2
    faulty: bool = False

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._restless = self._random.choice((0.02, 0.1, 0.3, 0.7))
        self._deadly = self._random.choice((0.0, 0.0, 0.005, 0.02))
        self._sluggish = self._random.choice((0.0, 0.0, 0.005, 0.02))
        self._stray = self._random.choice((0.0, 0.1, 0.3))

    def choose(self, current: Actor | None, ready: Sequence[Actor]) -> Actor:
        if current in ready and self._random.random() >= self._restless:
            return current
        return self._random.choice(ready)

    def fault(self, number: int, call: str, when: str, actor: Actor) -> Fault | None:
        chance = self._random.random()
        if self.deaths and chance < self._deadly:
            self.deaths -= 1
            self.faulty = True
            lost = actor.order is None and self._random.random() < 0.2
            return Die(lost=lost)
        if self.pauses and chance > 1 - self._sluggish:
            self.pauses -= 1
            self.faulty = True
            return Pause(self._random.choice((1_000, 20_000, 46_000, 100_000, 5 * MINUTE_MS)))
        return None

    def delays(self, delivery: Delivery) -> Sequence[int]:
        dues = [self._delay()]
        if self._random.random() < self._stray and delivery.function in (ORCHESTRATOR, WORKER):
            dues.append(self._delay())  # once more: delivery is at least once
        return dues

    def joins(self) -> bool:
        return self._random.random() < 0.2

    def _delay(self) -> int:
        if self._random.random() < self._stray:
            return self._random.choice((10, 50, 200, 1_000, 15_000, 50_000))
        return 0
