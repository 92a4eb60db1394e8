"""Random schedules: any number of processes that change places at any call, on bad days.

Orchestrators, workers, watchdogs, a packager, callers and a cancel meet as they come; events are
doubled, delayed, reordered, joined, and lost and retried; processes die and stall, for longer than
a lease too. `--schedules N` says how many seeds; `--seed N` repeats one and shows its story.
"""

from __future__ import annotations

from typing import Final

import pytest

from src.local.moto_world import MotoWorld
from tests.simulation.ending import story_of
from tests.simulation.moto import on_moto
from tests.simulation.plugin import Counted
from tests.simulation.scenario import SMALL, Scenario, simulate

pytestmark = [pytest.mark.integration, pytest.mark.timeout(7200)]

PARTS: Final = 8  # so that several processors can share the work
MOTO_SHARE: Final = 40


def seeds(config: pytest.Config, part: int, share: int = 1) -> range:
    """Return the seeds of one part, or the one that was asked for."""
    one = config.getoption("--seed")
    if one is not None:
        return range(one, one + (part == 0))
    return range(part, config.getoption("--schedules") // share, PARTS)


@pytest.mark.parametrize("part", range(PARTS))
def test_random_schedules_in_memory(
    part: int, counted: Counted, pytestconfig: pytest.Config
) -> None:
    for seed in seeds(pytestconfig, part):
        sim = simulate(Scenario.of(seed))

        counted("random schedules")
        if pytestconfig.getoption("--seed") is not None:
            print(story_of(sim, f"seed {seed}"))  # noqa: T201 - asked for; see it with -s


@pytest.mark.parametrize("part", range(PARTS))
def test_random_schedules_on_moto(
    part: int, counted: Counted, pytestconfig: pytest.Config, moto: MotoWorld
) -> None:
    for seed in seeds(pytestconfig, part, MOTO_SHARE):
        simulate(Scenario.of(seed, SMALL), run_id=f"seed-{seed}", **on_moto(moto))

        counted("random schedules on moto")
