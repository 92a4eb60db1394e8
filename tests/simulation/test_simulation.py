"""The simulation itself: a seed is one run, its story can be read, and a violation is told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from src.common import keys
from src.common.messages import WatchdogInput
from src.common.records import Event
from src.local.moto_world import MotoWorld
from tests.simulation.ending import check
from tests.simulation.invariants import INVARIANTS, Violation
from tests.simulation.jobs import DIAMOND, SECRETS
from tests.simulation.model import Plan, RunModel
from tests.simulation.moto import in_clear
from tests.simulation.policy import Die, OneFault, Policy
from tests.simulation.scenario import Scenario, simulate
from tests.simulation.scheduler import Died, Scheduler
from tests.simulation.simulation import Simulation
from tests.support.build import NOW, a_run
from tests.support.leaks import Secret
from tests.support.sim import a_job

pytestmark = pytest.mark.integration

_plant: dict[str, Callable[[Simulation, str], None]] = {
    "a row": lambda sim, text: sim.stored.runs.record(an_event(message=f"wrong: {text}")),
    "an object": lambda sim, text: sim.put("left", base64.b64encode(text.encode())),
    "an execution": lambda sim, text: sim.aws.start_watchdog("left", a_task(run_id=text)),
}


def an_event(**fields: Any) -> Event:
    given = {"order_name": "a", "epoch": NOW, "event": "failed", "status": "failed", "ttl": NOW}
    return Event(trace_id="0123abcd", run_id="another", **given, **fields)


def a_task(**fields: Any) -> WatchdogInput:
    return WatchdogInput(num="0001", start_by=NOW, end_by=NOW, due_at=NOW, **fields)


def test_a_seed_is_one_run_to_the_last_call() -> None:
    for seed in range(12):
        first, again = (simulate(Scenario.of(seed)) for _ in range(2))

        assert first.story.text() == again.story.text()
        assert len(first.story.lines) > 20


def test_seeds_differ() -> None:
    stories = {simulate(Scenario.of(seed)).story.text() for seed in range(8)}

    assert len(stories) == 8


def test_hours_pass_in_no_time() -> None:
    began = time.monotonic()
    with Simulation(outcomes={"a": "lost"}) as sim:
        sim.submit(a_job({"order_name": "a", "use_lambda": False}))
        sim.run()
        simulated_s = (sim.scheduler.now - sim.story.began) / 1000

    assert simulated_s > 3600
    assert time.monotonic() - began < simulated_s / 10


def test_the_story_says_who_did_what_and_what_came_of_it() -> None:
    policy = OneFault(8, "after", Die())
    with Simulation(policy) as sim:
        sim.submit(a_job(*DIAMOND))
        sim.run()

    text = sim.story.text()
    assert policy.struck
    assert "-- orchestrator-1 begins: told of 0000/accepted/result.json" in text
    assert "starts the commands of 0001 (top)" in text
    assert "0001/claim.json (by worker)  => 200" in text
    assert "is killed" in text
    assert "(attempt 2)" in text


def test_what_the_model_does_not_allow_stops_the_run_with_its_invariant() -> None:
    with Simulation() as sim:
        sim.submit(a_job("a"))
        sim.run(until=lambda: "r1" in sim.watch.models)
        sim.put(keys.ack_key("r1", "0001"))

        with pytest.raises(Violation, match="invariant 'acknowledged' is violated"):
            sim.run()


def test_an_error_of_a_handler_does_not_hide_a_violation() -> None:
    """The violation happens inside a call of a process, whose code would handle exceptions."""
    with Simulation() as sim:
        sim.submit(a_job("a"))
        sim.run(until=lambda: "r1" in sim.watch.models)
        sim.watch.models["r1"].lock = None
        sim.watch.models["r1"].item = a_run(run_id="another")

        with pytest.raises(Violation):
            sim.run()


@pytest.mark.parametrize("where", _plant)
def test_a_secret_in_clear_in_the_end_is_a_violation_wherever_it_lies(where: str) -> None:
    [secret] = SECRETS.values()
    with Simulation() as sim:
        sim.submit(a_job(*DIAMOND))
        sim.run()
        _plant[where](sim, secret)

        with pytest.raises(Violation, match="invariant 'nothing in clear' is violated"):
            check(sim)


def test_what_a_run_on_moto_leaves_in_clear_is_found(
    moto: MotoWorld, stored_secrets: list[Secret]
) -> None:
    """The search that follows every test with this world."""
    [(path, secret)] = SECRETS.items()
    bucket = moto.stack.buckets["internal"].name
    moto.clients.s3.put_object(Bucket=bucket, Key="left", Body=json.dumps({"a": secret}).encode())
    try:
        found = in_clear(moto, stored_secrets)
    finally:
        moto.clients.s3.delete_object(Bucket=bucket, Key="left")

    assert found == [f"bucket {bucket}, left: has {path} in clear"]


def test_a_model_takes_each_step_only_where_it_is_allowed() -> None:
    model = RunModel(Plan.of(a_job(*DIAMOND)), now=lambda: 0)

    with pytest.raises(Violation, match="'one start'"):
        model.start("0001", "worker-1")
    with pytest.raises(Violation, match="'one result'"):
        model.result("0001", "worker-1", "succeeded")
    with pytest.raises(Violation, match="'claim first'"):
        model.hand_over("0001", "token")
    with pytest.raises(Violation, match="'end in order'"):
        model.put_finished()
    with pytest.raises(Violation, match="'one holder'"):
        model.mark(frozenset({"0001"}))


def test_every_invariant_says_what_it_means() -> None:
    assert all(text.endswith(".") and len(text) > 40 for text in INVARIANTS.values())


def test_a_process_that_died_does_nothing_more() -> None:
    scheduler = Scheduler(0)
    done: list[str] = []

    def work() -> None:
        try:
            done.append("began")
            scheduler.die()
        finally:
            with pytest.raises(Died):
                scheduler.point()

    ended: list[BaseException | None] = []
    scheduler.spawn("a", work, ended=ended.append)
    while scheduler.step():
        pass

    assert done == ["began"]
    assert isinstance(ended[0], Died)


def test_the_platform_ends_a_process_whose_time_is_over() -> None:
    scheduler = Scheduler(0)
    ended: list[BaseException | None] = []
    scheduler.spawn("a", lambda: scheduler.sleep(99_000), until=60_000, ended=ended.append)
    while scheduler.step():
        pass

    assert isinstance(ended[0], Died)
    assert scheduler.now == 60_000


def test_a_calm_day_has_no_fault() -> None:
    with Simulation(Policy()) as sim:
        sim.submit(a_job(*DIAMOND))
        sim.run()

    assert sim.faults == []
    assert sim.aws.dropped == []
