"""Two processes at the same time, in every order of their calls with up to two preemptions.

Each process of a diamond's run in turn meets each intruder: its own event once more, whom it wakes
itself, a poke, a cancel, a watchdog whose time has come, a second packager, the same request again.
Both are there together; then every schedule of their calls is tried in which one of them is
preempted by the other at most `--preemptions` times (a context-bounded search). What others do
follows from it, as usual, and everything is checked as always.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from src.common import keys
from src.common.keys import PACKAGE_RUN
from src.common.messages import WatchdogInput
from src.local.stack import PROCESS_WEBHOOK, WATCHDOG_CHECK
from tests.simulation.ending import check, story_of
from tests.simulation.jobs import DIAMOND
from tests.simulation.plugin import Counted
from tests.simulation.policy import Duel
from tests.simulation.scheduler import Actor
from tests.simulation.schedules import schedules
from tests.simulation.simulation import Simulation
from tests.support.sim import a_job

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

RUN = "r1"
JOB = a_job(*DIAMOND)
Intrude = Callable[[Simulation, Actor], bool]  # False: this process has nobody to meet


def the_same_event(sim: Simulation, victim: Actor) -> bool:
    return sim.aws.deliver_again(victim.name)


def whom_it_wakes(_sim: Simulation, _victim: Actor) -> bool:
    """Nobody else: the first process that comes of its own calls; commands take no time."""
    return True


def a_poke(sim: Simulation, _victim: Actor) -> bool:
    if sim.stored.runs.run(RUN) is None:
        return False
    sim.put(keys.poke_key(RUN))
    return True


def a_cancel(sim: Simulation, _victim: Actor) -> bool:
    if sim.stored.runs.run(RUN) is None:
        return False
    sim.put(keys.cancel_key(RUN))
    return True


def the_orders_watchdog(sim: Simulation, victim: Actor) -> bool:
    """It thinks that the start window of the worker's order is over: the claim decides."""
    if victim.order is None:
        return False
    row = sim.stored.runs.orders(RUN, [victim.order])[victim.order]
    assert row.end_by is not None
    sim.disturbed.add(row.num)  # if the watchdog is first, the order never starts
    past = sim.scheduler.now - 31_000
    task = WatchdogInput(
        run_id=RUN, num=row.num, start_by=past, end_by=row.end_by, due_at=past, poked_at=past
    )
    sim.aws.call(WATCHDOG_CHECK, task.to_item(), lambda _error, _answer: None)
    return True


def the_runs_watchdog(sim: Simulation, victim: Actor) -> bool:
    """It thinks that packaging is late."""
    run = sim.stored.runs.run(RUN)
    if run is None or not victim.name.startswith(("webhook", "orchestrator")):
        return False
    now = sim.scheduler.now
    task = WatchdogInput(
        run_id=RUN, num=keys.PACKAGING, start_by=now, end_by=run.end_by, due_at=now, poked_at=now
    )
    sim.aws.call(WATCHDOG_CHECK, task.to_item(), lambda _error, _answer: None)
    return True


def a_second_packager(sim: Simulation, _victim: Actor) -> bool:
    if sim.stored.runs.run(RUN) is None:
        return False
    sim.aws.call(PROCESS_WEBHOOK, {PACKAGE_RUN: RUN}, lambda _error, _answer: None)
    return True


def the_same_request(sim: Simulation, _victim: Actor) -> bool:
    sim.submit(JOB, RUN)
    return True


INTRUDERS: dict[str, Intrude] = {
    intrude.__name__: intrude
    for intrude in (
        the_same_event,
        whom_it_wakes,
        a_poke,
        a_cancel,
        the_orders_watchdog,
        the_runs_watchdog,
        a_second_packager,
        the_same_request,
    )
}


def duel(process: int, intrude: Intrude, preempted: frozenset[int]) -> tuple[int, bool]:
    """Let the n-th process of the run meet an intruder; return the switches, and if they met."""
    policy = Duel(preempted)
    names: list[str] = []

    def spawned(actor: Actor) -> None:
        names.append(actor.name)
        if len(names) >= process and len(policy.contestants) < 2:
            policy.contestants.add(actor.name)
        if len(names) == process and not intrude(sim, actor):
            policy.contestants = {actor.name, "nobody"}

    with Simulation(policy) as sim:
        if intrude is whom_it_wakes:
            sim.commands_ms = 0
        sim.scheduler.spawned = spawned
        sim.submit(JOB, RUN)
        try:
            sim.run()
            check(sim, RUN)
        except Exception as error:
            how = f"process {process} meets {intrude.__name__}, preempted at {sorted(preempted)}"
            error.add_note(story_of(sim, how))
            raise
    return policy.switches, "nobody" not in policy.contestants


@cache
def processes() -> int:
    """Return how many processes a diamond's run has."""
    with Simulation() as sim:
        names: list[str] = []
        sim.scheduler.spawned = lambda actor: names.append(actor.name)
        sim.submit(JOB)
        sim.run()
    return len(names)


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_two_processes_in_every_order_of_their_calls(
    intruder: str, counted: Counted, pytestconfig: pytest.Config
) -> None:
    met = 0
    for process in range(1, processes() + 1):
        meetings = []

        def run(preempted: frozenset[int], process: int = process) -> int:
            switches, they_met = duel(process, INTRUDERS[intruder], preempted)
            meetings.append(they_met)  # noqa: B023 - called before the loop goes on
            return switches

        for _ in schedules(run, pytestconfig.getoption("--preemptions")):
            counted("schedules of two")
        met += any(meetings)
    assert met > 3
