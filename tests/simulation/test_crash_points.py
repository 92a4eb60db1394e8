"""Every call of a run is a point where its process may die or stall; the run ends well even so.

`before` and `after`: the process is killed before or after the call's effect, and the platform
repeats its event. `lost`: an orchestrator's event is gone with it, as after three deaths, so that
the watchdogs alone go on. `paused`: the process stands still for longer than a lease, then goes on.
`repeated`: the reply to the call is lost, and the SDK makes it once more. `refused`: a hand-over
fails, and the platform says that trying again cannot help. (Refusals that pass are in
test_faults_of_aws.py.)
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest

from src.local.moto_world import MotoWorld
from src.local.stack import ORCHESTRATOR
from tests.simulation.ending import FAULTY_MS, Ending, check, story_of
from tests.simulation.invariants import Violation, hold
from tests.simulation.jobs import REFERENCES
from tests.simulation.moto import on_moto
from tests.simulation.plugin import Counted
from tests.simulation.policy import HAND_OVERS, Die, Fault, OneFault, Pause, Policy, Refuse, Repeat
from tests.simulation.simulation import Simulation

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

LONGER_THAN_A_LEASE_MS = 50_000

KINDS: dict[str, tuple[str, Fault]] = {
    "before": ("before", Die()),
    "after": ("after", Die()),
    "lost before": ("before", Die(lost=True)),
    "lost after": ("after", Die(lost=True)),
    "paused": ("before", Pause(LONGER_THAN_A_LEASE_MS)),
    "repeated": ("before", Repeat()),
    "refused before": ("before", Refuse(permanent=True)),
    "refused after": ("after", Refuse(permanent=True)),
}


@cache
def without_a_fault(name: str) -> tuple[tuple[tuple[str, str], ...], int]:
    """Return the calls (who, what) of a run without a fault, and how long it takes (ms)."""
    sim, ending = simulate(name, Policy())
    assert ending.run.finished_at is not None
    return tuple(sim.calls), ending.run.finished_at - ending.run.created_at


def simulate(
    name: str, policy: Policy, run_id: str = "r1", **world: Any
) -> tuple[Simulation, Ending]:
    """Run a reference job under a policy, and check its end; a violation comes with the story."""
    reference = REFERENCES[name]
    with Simulation(policy, reference.outcomes, **world) as sim:
        sim.submit(reference.job, run_id)
        try:
            sim.run()
            return sim, check(sim, run_id)
        except Exception as error:
            error.add_note(story_of(sim, f"job {name!r}, {policy}"))
            raise


def ends_soon(sim: Simulation, ending: Ending, took_ms: int) -> None:
    """A fault costs minutes, or the start window of what it killed."""
    run = ending.run
    assert run.finished_at is not None
    windows = [ending.rows[num].start_window * 1000 for num in sim.disturbed if num]
    late = run.finished_at - run.created_at - took_ms - FAULTY_MS - max(windows, default=0)
    hold("it ends", late <= 0, f"{late / 1000} s later than six minutes after a run without fault")


def points(name: str, kind: str) -> list[int]:
    """Return the calls (1-based) at which a fault of that kind can happen."""
    calls, _ = without_a_fault(name)
    orchestrators = "lost" in kind  # for others it would be the same as without
    return [
        number
        for number, (who, call) in enumerate(calls, 1)
        if (who.startswith(ORCHESTRATOR) or not orchestrators)
        and (call in HAND_OVERS or "refused" not in kind)
    ]


def survive(name: str, kind: str, number: int, run_id: str = "r1", **world: Any) -> None:
    """Let a fault happen, and check what becomes of the run."""
    when, fault = KINDS[kind]
    policy = OneFault(number, when, fault)
    sim, ending = simulate(name, policy, run_id, **world)

    assert policy.struck
    try:
        ends_soon(sim, ending, without_a_fault(name)[1])
    except Violation as violation:
        violation.add_note(story_of(sim, f"job {name!r}, {policy}"))
        raise


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REFERENCES)
def test_a_run_survives_a_fault_at_every_call(name: str, kind: str, counted: Counted) -> None:
    for number in points(name, kind):
        survive(name, kind, number)
        counted("crash points")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_moto_survives_a_fault_at_a_sample_of_its_calls(
    kind: str, counted: Counted, pytestconfig: pytest.Config, moto: MotoWorld
) -> None:
    every = points("mixed", kind)
    size = min(len(every), pytestconfig.getoption("--moto-points"))
    for number in random.Random(kind).sample(every, size):
        survive("mixed", kind, number, f"{kind.replace(' ', '-')}-{number}", **on_moto(moto))

        counted("crash points on moto")
