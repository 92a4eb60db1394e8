"""A simulation by seed: job, outcomes, what callers do and when, and a bad day for all of it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

from src.process_webhook.accept import REPEATS_S
from tests.simulation.ending import check, story_of
from tests.simulation.jobs import DIAMOND, MIXED, TWELVE
from tests.simulation.policy import Chance
from tests.simulation.simulation import Simulation
from tests.support.sim import a_job

SHAPES: Final = (({"order_name": "only"},), DIAMOND, DIAMOND, MIXED, TWELVE)
SMALL: Final = SHAPES[:4]
ENDINGS: Final = ("succeeded",) * 12 + ("failed", "failed", "timed_out", "dies", "lost")


@dataclass(frozen=True)
class Scenario:
    """What one seed stands for."""

    seed: int
    job: Mapping[str, Any]
    outcomes: Mapping[str, str]
    policy: Chance
    named: bool  # whether the request carries a run_id
    again_after_s: float | None  # the same request once more
    cancel_after_s: float | None
    pokes_after_s: tuple[float, ...]
    commands_ms: int

    @classmethod
    def of(cls, seed: int, shapes: tuple[Any, ...] = SHAPES) -> Self:
        """Return the scenario of a seed."""
        chance = random.Random(seed)
        orders = chance.choice(shapes)
        options: dict[str, Any] = {}
        if chance.random() < 0.2:
            options["max_parallel"] = chance.randint(1, 3)
        if chance.random() < 0.1:
            options["job_timeout"] = chance.choice((5, 20, 65, 130))
        names = [order["order_name"] for order in orders]

        def at_times(probability: float, latest_s: float) -> float | None:
            return chance.uniform(0, latest_s) if chance.random() < probability else None

        return cls(
            seed=seed,
            job=a_job(*orders, **options),
            outcomes={name: chance.choice(ENDINGS) for name in names},
            named=chance.random() < 0.8,
            again_after_s=at_times(0.3, 0.2),
            cancel_after_s=at_times(0.2, chance.choice((0.5, 10, 80))),
            pokes_after_s=tuple(chance.uniform(0, 60) for _ in range(chance.choice((0, 0, 1, 3)))),
            commands_ms=chance.choice((0, 20, 7_000, 59_000)),
            policy=Chance(chance),
        )


def simulate(
    scenario: Scenario,
    run_id: str = "r1",
    **world: Any,
) -> Simulation:
    """Simulate a scenario and check it; what goes wrong comes with its story.

    `world` is where (see `Simulation`); default: in memory.

    Raises:
        Violation: an invariant does not hold.
    """
    sim = Simulation(scenario.policy, scenario.outcomes, **world)
    job = {**scenario.job, "flow_label": run_id}  # no other scenario's body is equal
    sim.commands_ms = scenario.commands_ms
    given = run_id if scenario.named else None
    with sim:
        try:
            sim.submit(job, given)
            if scenario.again_after_s is not None:
                again = scenario.again_after_s
                sim.scheduler.after(again, lambda: sim.submit(job, given))
            if scenario.cancel_after_s is not None:
                sim.scheduler.after(scenario.cancel_after_s, lambda: _each(sim, sim.cancel))
            for after_s in scenario.pokes_after_s:
                sim.scheduler.after(after_s, lambda: _each(sim, sim.poke))
            sim.run()
            for accepted in sim.watch.models:
                check(sim, accepted)
            _one_run_a_request(sim)
        except Exception as error:
            how = f"pytest tests/simulation/test_schedules.py --seed {scenario.seed}"
            error.add_note(story_of(sim, f"again: {how}"))
            raise
    return sim


def _one_run_a_request(sim: Simulation) -> None:
    """An equal body is a redelivery for ten minutes; then it is a new run, as a scheduler sends."""
    began = [model.item.created_at for model in sim.watch.models.values() if model.item]
    pairs = pairwise(sorted(began))
    assert began, "no run was accepted"
    assert all(later - earlier >= REPEATS_S * 1000 for earlier, later in pairs), began


def _each(sim: Simulation, do: Any) -> None:
    for run_id in sim.watch.models:
        do(run_id)
