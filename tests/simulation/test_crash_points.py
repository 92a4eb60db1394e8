"""Every call of a run is a point where its process may die or stall; the run ends well even so.

`before` and `after`: the process is killed before or after the call's effect, and the platform
repeats its event. `lost`: an orchestrator's event is gone with it, as after three deaths, so that
the watchdogs alone go on. `paused`: the process stands still for longer than a lease, then goes on.
"""

from __future__ import annotations

from functools import cache

import pytest

from src.local.stack import ORCHESTRATOR
from tests.simulation.ending import FAULTY_MS, Ending, check, story_of
from tests.simulation.invariants import Violation, hold
from tests.simulation.jobs import REFERENCES
from tests.simulation.plugin import Counted
from tests.simulation.policy import Die, Fault, OneFault, Pause, Policy
from tests.simulation.simulation import Simulation

pytestmark = pytest.mark.integration

LONGER_THAN_A_LEASE_MS = 50_000

KINDS: dict[str, tuple[str, Fault]] = {
    "before": ("before", Die()),
    "after": ("after", Die()),
    "lost before": ("before", Die(lost=True)),
    "lost after": ("after", Die(lost=True)),
    "paused": ("before", Pause(LONGER_THAN_A_LEASE_MS)),
}


@cache
def without_a_fault(name: str) -> tuple[tuple[tuple[str, str], ...], int]:
    """Return the calls (who, what) of a run without a fault, and how long it takes (ms)."""
    sim, ending = simulate(name, Policy())
    assert ending.run.finished_at is not None
    return tuple(sim.calls), ending.run.finished_at - ending.run.created_at


def simulate(name: str, policy: Policy) -> tuple[Simulation, Ending]:
    """Run a reference job under a policy, and check its end; a violation comes with the story."""
    reference = REFERENCES[name]
    with Simulation(policy, reference.outcomes) as sim:
        sim.submit(reference.job)
        try:
            sim.run()
            return sim, check(sim)
        except Exception as error:
            error.add_note(story_of(sim, f"job {name!r}, {policy}"))
            raise


def ends_soon(sim: Simulation, ending: Ending, took_ms: int) -> None:
    """A fault costs minutes, or the start window of what it killed."""
    run = ending.run
    assert run.finished_at is not None
    windows = [ending.rows[num].start_window * 1000 for num in sim.killed if num]
    late = run.finished_at - run.created_at - took_ms - FAULTY_MS - max(windows, default=0)
    hold("it ends", late <= 0, f"{late / 1000} s later than six minutes after a run without fault")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", REFERENCES)
def test_a_run_survives_a_fault_at_every_call(name: str, kind: str, counted: Counted) -> None:
    calls, took_ms = without_a_fault(name)
    when, fault = KINDS[kind]
    for number, (who, _) in enumerate(calls, 1):
        if "lost" in kind and not who.startswith(ORCHESTRATOR):
            continue  # it would be the same as without
        policy = OneFault(number, when, fault)

        sim, ending = simulate(name, policy)

        assert policy.struck
        try:
            ends_soon(sim, ending, took_ms)
        except Violation as violation:
            violation.add_note(story_of(sim, f"job {name!r}, {policy}"))
            raise
        counted("crash points")
