"""How weaker forms of the rules failed, where it takes time, retries or several processes.

The others stand in tests/integration/test_protocol.py, one call at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from src.common import keys
from src.common.errors import Conflict, LeaseLost
from src.common.job_fields import PACKAGING
from src.common.status import JobStatus
from src.local.stack import ORCHESTRATOR, WORKER
from src.local.world import Delivery
from tests.simulation.ending import CALM_MS, FAULTY_MS, check, story_of
from tests.simulation.invariants import hold
from tests.simulation.jobs import DIAMOND
from tests.simulation.plugin import Counted
from tests.simulation.policy import Die, Duel, Fault, OneFault, Pause, Policy
from tests.simulation.scheduler import Actor
from tests.simulation.schedules import schedules
from tests.simulation.simulation import Simulation
from tests.support.sim import a_job, chain

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

JOB = a_job(*DIAMOND)
LONGER_THAN_A_LEASE_MS = 50_000


@dataclass
class Killing(Policy):
    """Kills processes of a kind, as often as told, at their first call."""

    kind: str
    times: int
    when: Callable[[Actor], bool] = lambda _actor: True
    killed: list[str] = field(default_factory=list)

    def fault(self, number: int, call: str, when: str, actor: Actor) -> Fault | None:
        if len(self.killed) == self.times or actor.name in self.killed:
            return None
        if not actor.name.startswith(self.kind) or not self.when(actor):
            return None
        self.killed.append(actor.name)
        return Die()


@dataclass
class Delaying(Policy):
    """Lets events of a function come late."""

    function: str
    ms: int

    def delays(self, delivery: Delivery) -> Sequence[int]:
        return (self.ms,) if delivery.function == self.function else (0,)


def run(policy: Policy, job: dict[str, Any] = JOB, **fields: Any) -> Simulation:
    """Simulate a job and check its end; what goes wrong comes with the story."""
    sim = Simulation(policy, **fields)
    with sim:
        sim.submit(job)
        try:
            sim.run()
            check(sim)
        except Exception as error:
            error.add_note(story_of(sim, str(policy)))
            raise
    return sim


def stored_run(sim: Simulation) -> Any:
    return sim.stored.runs.run("r1")


def test_a_holder_that_wakes_up_after_its_lease_was_stolen_changes_nothing(
    counted: Counted,
) -> None:
    """It stands still at each of its calls in turn, and others come: its writes are refused."""
    refused: Counter[str] = Counter()
    calls = run(Policy()).calls
    for number in range(1, len(calls) + 1):
        if not calls[number - 1][0].startswith(ORCHESTRATOR):
            continue
        policy = OneFault(number, "before", Pause(LONGER_THAN_A_LEASE_MS))
        sim = Simulation(policy)
        with sim:
            sim.submit(JOB)
            for second in range(20, 200, 10):  # somebody comes who steals the lock
                sim.scheduler.after(second, lambda sim=sim: sim.poke("r1"))  # type: ignore[misc]
            sim.run()
            check(sim)
        stale = calls[number - 1][0]
        refused.update(
            call
            for _, who, call, _, out in sim.story.lines
            if who == stale and isinstance(out, Conflict | LeaseLost)
        )
        counted("crash points")

    assert refused["runs.commit"] > 0
    assert refused["locks.renew"] + refused["locks.release"] > 0


def test_an_event_whose_three_attempts_die_strands_nothing() -> None:
    for first in range(1, 7):  # as many as a calm run has
        doomed: set[str | None] = set()

        def dies(actor: Actor, first: int = first, doomed: set[str | None] = doomed) -> bool:
            if actor.name == f"{ORCHESTRATOR}-{first}":
                doomed.add(actor.request)
            return actor.request in doomed

        sim = run(Killing(ORCHESTRATOR, times=3, when=dies))

        assert len(sim.faults) == len(sim.aws.dropped) + 2 == 3
        assert stored_run(sim).status is JobStatus.SUCCEEDED


def test_a_watchdog_outlasts_an_hour_in_which_every_check_fails() -> None:
    """Without Retry one failed check would end it, and its name is burnt for 90 days."""
    policy = Killing("watchdog", times=2 * 60)
    sim = run(policy, a_job("a"), outcomes={"a": "lost"})

    row = sim.stored.runs.orders("r1", ["0001"])["0001"]
    assert len(policy.killed) == 2 * 60
    assert row.status == "failed"


def test_packaging_whose_every_attempt_dies_is_ended_at_its_deadline() -> None:
    policy = Killing("webhook", times=3, when=lambda actor: actor.name != "webhook-1")
    sim = run(policy)

    ended = stored_run(sim)
    late = ended.finished_at - ended.created_at - PACKAGING * 1000
    hold("in time", late <= CALM_MS, f"packaging was ended {late / 1000} s after its deadline")
    assert ended.status is JobStatus.FAILED


def test_a_cancel_whose_every_attempt_dies_is_found_by_the_runs_watchdog() -> None:
    policy = Killing(ORCHESTRATOR, times=3, when=lambda actor: actor.request in asked)
    asked: set[str | None] = set()
    sim = Simulation(policy)
    with sim:
        sim.commands_ms = 500_000
        sim.submit(a_job({"order_name": "a", "timeout": 540}))
        sim.run(until=lambda: bool(sim.started))
        sim.scheduler.spawned = lambda actor: asked or asked.add(actor.request)
        sim.put(keys.cancel_key("r1"))
        sim.run()
        check(sim)

    lag_ms = sim.watch.models["r1"].lags[keys.CANCEL]
    hold("takes effect", lag_ms <= FAULTY_MS, f"the cancel took effect after {lag_ms / 1000} s")
    assert len(policy.killed) == 3
    assert stored_run(sim).status is JobStatus.CANCELLED


@pytest.mark.parametrize("close", ["lost", "dies"])
def test_somebody_wakes_for_the_deadline_of_the_job(close: str) -> None:
    """The only order hangs past it, and its watchdog's time has not come."""
    job = a_job(*chain("a", "b"), job_timeout=65)
    job["orders"][0]["timeout"] = 300
    sim = run(Policy(), job, outcomes={"a": close})

    ended = stored_run(sim)
    assert ended.status is JobStatus.TIMED_OUT
    assert ended.finished_at - ended.end_by <= CALM_MS


@pytest.mark.parametrize("minutes", [8, 9.95, 12])
def test_a_hand_over_that_comes_late_starts_in_its_window_or_never(minutes: float) -> None:
    sim = run(Delaying(WORKER, int(minutes * 60_000)), a_job("a"), outcomes=_late(minutes))

    assert sum(sim.started.values()) == (minutes < 10)


def _late(minutes: float) -> dict[str, str]:
    return {} if minutes < 10 else {"a": "lost"}


def test_the_same_body_twice_at_once_is_one_run(
    counted: Counted, pytestconfig: pytest.Config
) -> None:
    """It names no run: the second caller gets the first one's ids, whoever was first."""

    def twice(preempted: frozenset[int]) -> int:
        policy = Duel(preempted, {"webhook-1", "webhook-2"})
        with Simulation(policy) as sim:
            sim.submit(JOB, None)
            sim.submit(JOB, None)
            sim.run()
            (run_id,) = sim.watch.models
            check(sim, run_id)
            assert [answer["run_id"] for answer in sim.answers] == [run_id, run_id]
        return policy.switches

    for _ in schedules(twice, pytestconfig.getoption("--preemptions")):
        counted("schedules of two")
