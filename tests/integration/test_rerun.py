"""A run that carries over what succeeded in an earlier one: through the real handlers."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.common import keys
from src.common.status import JobStatus, OrderStatus
from src.remote.rerun import carried
from src.remote.state import from_rows
from tests.support.faults import FaultySim, die_on
from tests.support.repos import new_repo
from tests.support.sim import Sim, a_job, chain

pytestmark = pytest.mark.integration

S = OrderStatus
MakeSim = Callable[..., Sim]


def rerun(sim: Sim, job: dict[str, Any], of: str, *names: str, **fields: Any) -> dict[str, Any]:
    """Submit a rerun that carries orders over; return the answer."""
    new_id = uuid.uuid4().hex
    return sim.submit(job, run_id=new_id, rerun_of=of, carried=list(names), **fields)


def rerun_id(sim: Sim, job: dict[str, Any], of: str, *names: str) -> str:
    answer = rerun(sim, job, of, *names)
    assert answer["statusCode"] == 200, answer
    run_id: str = answer["body"]["run_id"]
    return run_id


def test_carried_orders_never_start_and_what_waited_for_them_does(
    make_sim: MakeSim, run_id: str
) -> None:
    job = a_job(*chain("a", "b", "c"))
    sim = make_sim({"b": "failed"})
    sim.run_to_end(job, run_id=run_id)
    sim.worker.outcomes = {}
    sim.worker.started.clear()

    new_id = rerun_id(sim, job, run_id, "a")
    run = sim.finish(new_id)

    assert run.status is JobStatus.SUCCEEDED
    assert run.counts == {"succeeded": 3}
    assert sim.worker.started == {"b": 1, "c": 1}
    rows = sim.rows(run)
    assert rows["a"].reason == f"carried over from run {run_id}"
    assert rows["a"].dispatched_at is None
    assert sim.adapters.internal.get(keys.bundle_key(new_id, "0001")) is None


def test_done_object_and_events_say_what_was_carried(make_sim: MakeSim, run_id: str) -> None:
    job = a_job(*chain("a", "b"))
    sim = make_sim({"b": "failed"})
    sim.run_to_end(job, run_id=run_id)

    run = sim.finish(rerun_id(sim, job, run_id, "a"))

    done = sim.done(run.run_id)
    assert done["orders"]["a"]["status"] == "succeeded"
    assert done["orders"]["a"]["reason"] == f"carried over from run {run_id}"
    story = {(e.order_name, e.event): e.message for e in sim.adapters.runs.events(run.trace_id)}
    assert story["a", "carried"] == f"carried over from run {run_id}"
    assert story["_job", "accepted"] == f"2 orders for alice, 1 carried over, rerun of {run_id}"
    assert ("a", "claimed") not in story


def test_a_rerun_of_a_rerun_names_the_run_in_which_an_order_ran(
    make_sim: MakeSim, run_id: str
) -> None:
    job = a_job(*chain("a", "b"))
    sim = make_sim({"b": "failed"})
    sim.run_to_end(job, run_id=run_id)
    second = sim.finish(rerun_id(sim, job, run_id, "a"))

    third = sim.finish(rerun_id(sim, job, second.run_id, "a"))

    assert sim.rows(third)["a"].reason == f"carried over from run {run_id}"


@pytest.mark.parametrize(
    ("of", "names", "why"),
    [
        ("earlier", ["b"], "is failed; only what succeeded is carried over"),
        ("nobody", ["a"], "is not there (any more)"),
    ],
)
def test_a_run_that_carries_what_did_not_succeed_fails_and_runs_nothing(
    make_sim: MakeSim, run_id: str, of: str, names: list[str], why: str
) -> None:
    job = a_job("a", "b")
    sim = make_sim({"b": "failed"})
    sim.run_to_end(job, run_id=run_id)
    sim.worker.started.clear()

    source = run_id if of == "earlier" else f"{run_id}-nobody"
    run = sim.finish(rerun_id(sim, job, source, *names))

    assert run.status is JobStatus.FAILED
    assert why in (run.reason or "")
    assert sim.worker.started == {}


def test_another_jobs_order_is_not_carried(run_id: str) -> None:
    sim = Sim()
    sim.run_to_end(a_job("x", "y"), run_id=run_id)

    run = sim.finish(rerun_id(sim, a_job("a", "b"), run_id, "a"))

    assert run.status is JobStatus.FAILED
    assert f'order "a" of run {run_id} is not there' in (run.reason or "")


def test_the_same_rerun_again_starts_nothing_and_another_is_a_conflict(run_id: str) -> None:
    job, sim = a_job(*chain("a", "b")), Sim({"b": "failed"})
    sim.run_to_end(job, run_id=run_id)
    asked = {"run_id": f"{run_id}-2", "rerun_of": run_id}

    first = sim.submit(job, **asked, carried=["a"])
    again = sim.submit(job, **asked, carried=["a"])
    other = sim.submit(job, **asked)
    sim.finish(f"{run_id}-2")

    assert first["body"] == again["body"]
    assert other["statusCode"] == 409
    assert sim.worker.started == {"a": 1, "b": 2}


@pytest.mark.parametrize("call", ["runs.order", "runs.record", "runs.add_orders"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_packager_that_dies_while_it_carries_over_loses_nothing(call: str, when: str) -> None:
    job = a_job(*chain("a", "b"), "free")
    sim = FaultySim(outcomes={"b": "failed"})
    first, _ = sim.run_to_end(job)
    sim.worker.outcomes = {}
    sim.faults.strike = die_on(call, when)

    run = sim.finish(rerun_id(sim, job, first.run_id, "a", "free"))

    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"a": 1, "b": 2, "free": 1}
    events = [e.event for e in sim.adapters.runs.events(run.trace_id) if e.order_name == "a"]
    assert events == ["carried"]


def test_a_rerun_stands_on_the_commits_of_the_earlier_run(tmp_path: Path, run_id: str) -> None:
    repo = new_repo(tmp_path / "repo", {"version": "1"})
    job = a_job(*chain("a", "b"), git_repo=repo.url)
    sim = Sim({"b": "failed"})
    sim.run_to_end(job, run_id=run_id)
    repo.commit({"version": "2"})

    again = sim.finish(rerun_id(sim, job, run_id, "a"))
    fresh, _ = sim.run_to_end(job)

    pinned = [sim.adapters.runs.packaging(of) for of in (run_id, again.run_id, fresh.run_id)]
    commits = [packaging.commits for packaging in pinned if packaging is not None]
    assert commits[0] == commits[1]
    assert commits[0] != commits[2]


def test_a_rerun_that_is_cancelled_before_it_was_packaged_keeps_what_it_carries(
    run_id: str,
) -> None:
    job, sim = a_job(*chain("a", "b")), Sim({"b": "failed"})
    sim.run_to_end(job, run_id=run_id)
    new_id = rerun_id(sim, job, run_id, "a")
    packager = sim.world._queue.pop()
    sim.settle()

    sim.adapters.internal.put(keys.cancel_key(new_id), b"{}")
    run = sim.finish(new_id)
    sim.world.functions[packager.function](packager.event, sim.world.context("late"))

    assert run.status is JobStatus.CANCELLED
    orders = sim.done(new_id)["orders"]
    assert (orders["a"]["status"], orders["b"]["status"]) == ("succeeded", "cancelled")
    assert run.counts == {"succeeded": 1, "cancelled": 1}


OUTCOMES = ("succeeded", "succeeded", "failed", "timed_out", "dies", "lost")


@st.composite
def jobs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, str]]:
    size = draw(st.integers(1, 25))
    orders = []
    for position in range(size):
        below = st.integers(0, position - 1) if position else st.nothing()
        needs = draw(st.lists(below, max_size=3, unique=True)) if position else []
        orders.append(
            {
                "order_name": f"o{position}",
                "dependencies": [f"o{need}" for need in needs],
                "must_succeed": draw(st.booleans()),
            }
        )
    outcomes = {f"o{position}": draw(st.sampled_from(OUTCOMES)) for position in range(size)}
    job = a_job(*draw(st.permutations(orders)), job_timeout=22 * 3600)
    if draw(st.booleans()):
        job["max_parallel"] = draw(st.integers(1, 4))
    return job, outcomes


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(jobs())
def test_random_runs_are_finished_by_running_what_did_not_succeed(
    example: tuple[dict[str, Any], dict[str, str]],
) -> None:
    """Once nothing fails any more, a rerun succeeds and runs no more than what it must."""
    job, outcomes = example
    sim = Sim(outcomes)
    first, rows = sim.run_to_end(job)
    state = from_rows(first.to_item(), {row.num: row.to_item() for row in rows.values()})
    if {row.status for row in rows.values()} == {S.SUCCEEDED}:
        return
    over = carried(job, state)
    sim.worker.outcomes = {}
    sim.worker.started.clear()

    run = sim.finish(rerun_id(sim, job, first.run_id, *over))

    again = sim.rows(run)
    assert run.status is JobStatus.SUCCEEDED
    assert {row.status for row in again.values()} == {S.SUCCEEDED}
    assert sim.worker.started == dict.fromkeys(again.keys() - set(over), 1)
    assert {name for name, row in again.items() if row.reason} == set(over)
    assert run.counts == {"succeeded": len(again)}
