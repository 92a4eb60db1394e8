"""A handler dies at every call in turn, before and after its effect; the run ends all the same."""

from __future__ import annotations

from typing import Any

import pytest

from src.common import keys
from src.common.status import TERMINAL
from tests.support.faults import FaultySim, die_at
from tests.support.sim import a_job

pytestmark = pytest.mark.integration

DIAMOND = [
    {"order_name": "top"},
    {"order_name": "left", "dependencies": ["top"], "use_lambda": False},
    {"order_name": "right", "dependencies": ["top"]},
    {"order_name": "bottom", "dependencies": ["left", "right"]},
]
JOBS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "one order": (a_job("only"), {}),
    "diamond": (a_job(*DIAMOND), {}),
    "diamond with a failure": (a_job(*DIAMOND), {"left": "failed"}),
    "diamond, one at a time": (a_job(*DIAMOND, max_parallel=1), {}),
    "a worker dies": (a_job(*DIAMOND), {"right": "dies"}),
    "a worker never starts": (a_job(*DIAMOND), {"right": "lost"}),
}


def submit_like_a_caller(sim: FaultySim, job: dict[str, Any]) -> str:
    """Send the same request until it is answered."""
    for _ in range(3):
        try:
            answer = sim.submit(job, run_id="r1")
        except RuntimeError:
            continue
        assert answer["statusCode"] == 200
        return str(answer["body"]["run_id"])
    raise AssertionError("three deaths, but only one was ordered")


def end_of(job: dict[str, Any], outcomes: dict[str, str]) -> tuple[dict[str, str], int, int]:
    """Run without a fault: the statuses, the number of calls, the time it takes (ms)."""
    sim = FaultySim(outcomes=outcomes)
    run, rows = sim.run_to_end(job, run_id="r1")
    assert run.finished_at is not None
    statuses = {name: str(row.status) for name, row in rows.items()}
    return statuses, len(sim.faults.calls), run.finished_at - run.created_at


@pytest.mark.parametrize(
    "lost", [frozenset(), frozenset({"orchestrator"})], ids=["retried", "lost"]
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", JOBS)
def test_a_run_survives_a_death_at_every_call(name: str, when: str, lost: frozenset[str]) -> None:
    """`lost`: the orchestrator's event is gone for good, as after three deaths in a row."""
    job, outcomes = JOBS[name]
    expected, calls, took = end_of(job, outcomes)

    for number in range(1, calls + 1):
        sim = FaultySim(die_at(number, when), outcomes, lost=lost)
        run_id = submit_like_a_caller(sim, job)
        run = sim.finish(run_id)

        death = f"death {when} call {number} of {calls}: {sim.faults.struck}"
        assert sim.faults.struck, death
        assert {n: str(row.status) for n, row in sim.rows(run).items()} == expected, death
        assert all(count == 1 for count in sim.worker.started.values()), death
        assert run.finished_at is not None
        assert run.finished_at - run.created_at <= took + 6 * 60_000, death
        lock = sim.adapters.locks.get(run_id)
        assert lock is not None
        assert lock.owner is None, death
        sim.finish(run_id)
        assert sim.done(run_id)["status"] == run.status
        ends = [e for e in sim.adapters.runs.events(run.trace_id) if e.event in set(TERMINAL)]
        assert sorted(e.order_name for e in ends) == sorted(expected), death
        dispatched = [n for n, row in sim.rows(run).items() if row.dispatched_at]
        for row in sim.rows(run).values():
            if row.name in dispatched:
                assert sim.adapters.internal.get(keys.ack_key(run_id, row.num)) is not None, death
