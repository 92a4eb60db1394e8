"""Random DAGs with random failures end as a small reference model says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.common.status import TERMINAL
from tests.support.sim import Sim

pytestmark = pytest.mark.integration

OUTCOMES = ("succeeded", "succeeded", "succeeded", "failed", "timed_out", "dies", "lost")
ENDS_AS = {"dies": "timed_out", "lost": "failed"}


@st.composite
def jobs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, str]]:
    size = draw(st.integers(1, 60))
    orders, outcomes = [], {}
    for position in range(size):
        name = f"o{position}"
        below = st.integers(0, position - 1) if position else st.nothing()
        needs = draw(st.lists(below, max_size=4, unique=True)) if position else []
        orders.append(
            {
                "order_name": name,
                "cmds": ["true"],
                "timeout": draw(st.integers(1, 540)),
                "dependencies": [f"o{need}" for need in needs],
                "must_succeed": draw(st.booleans()),
                "use_lambda": draw(st.booleans()),
            }
        )
        outcomes[name] = draw(st.sampled_from(OUTCOMES))
    job: dict[str, Any] = {"username": "alice", "orders": draw(st.permutations(orders))}
    job["job_timeout"] = 22 * 3600
    if draw(st.booleans()):
        job["max_parallel"] = draw(st.integers(1, 8))
    return job, outcomes


def predict(job: dict[str, Any], outcomes: dict[str, str]) -> tuple[dict[str, str], str]:
    """The reference model: what each order and the job end as."""
    orders = {order["order_name"]: order for order in job["orders"]}
    ends: dict[str, str] = {}

    def end(name: str) -> str:
        if name not in ends:
            stopped = [
                need
                for need in orders[name]["dependencies"]
                if end(need) == "skipped"
                or (end(need) != "succeeded" and orders[need]["must_succeed"])
            ]
            outcome = outcomes[name]
            ends[name] = "skipped" if stopped else ENDS_AS.get(outcome, outcome)
        return ends[name]

    for name in orders:
        end(name)
    bad = any(ends[name] != "succeeded" and order["must_succeed"] for name, order in orders.items())
    return ends, "failed" if bad else "succeeded"


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(jobs())
def test_random_runs_end_as_the_reference_model_predicts(
    example: tuple[dict[str, Any], dict[str, str]],
) -> None:
    job, outcomes = example
    sim = Sim(outcomes)

    run, rows = sim.run_to_end(job)

    ends, verdict = predict(job, outcomes)
    assert {name: row.status for name, row in rows.items()} == ends
    assert run.status == verdict
    assert {name: order["status"] for name, order in sim.done(run.run_id)["orders"].items()} == ends
    ran = {name for name, row in rows.items() if row.dispatched_at and outcomes[name] != "lost"}
    assert sim.worker.started == dict.fromkeys(ran, 1)
    assert sum(run.counts.values()) == sum(run.counts.get(status, 0) for status in TERMINAL)
    for order in job["orders"]:
        for need in order["dependencies"]:
            if {order["order_name"], need} <= ran:
                order_of = sim.worker.order.index
                assert order_of(need) < order_of(order["order_name"])
