"""Trouble of the platform: the run ends as without it, or says what was the matter.

What an adapter raises has used up its own attempts (`src/common/retry.py`), so each refusal here
stands for several. `before`: throttled, 5xx. `after`: the effect is there and the answer is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from src.common.status import JobStatus
from src.local.stack import ORCHESTRATOR
from src.local.world import Delivery
from tests.simulation.ending import Ending, check, story_of
from tests.simulation.invariants import Violation
from tests.simulation.jobs import REFERENCES
from tests.simulation.plugin import Counted
from tests.simulation.policy import MINUTE_MS, Fault, OneFault, Policy, Refuse
from tests.simulation.scheduler import Actor
from tests.simulation.simulation import Simulation
from tests.simulation.test_crash_points import ends_soon, simulate, without_a_fault

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

STORES = ("runs", "locks", "internal", "done", "packager")
STARTERS = ("workers", "builds", "watchdogs")  # for longer, and orders miss their start window
OUTAGES = [*((service, 4) for service in (*STORES, *STARTERS)), *((store, 10) for store in STORES)]


def ends(name: str, policy: Policy, extra_ms: int = 0) -> tuple[Simulation, Ending]:
    """Run a reference job under a policy: it ends soon after the trouble does."""
    _, took_ms = without_a_fault(name)
    reference = REFERENCES[name]
    with Simulation(policy, reference.outcomes) as sim:
        sim.submit(reference.job, resend=60)  # by somebody with patience
        try:
            sim.run()
            ending = check(sim)
            ends_soon(sim, ending, took_ms + extra_ms)
        except Violation as violation:
            violation.add_note(story_of(sim, f"job {name!r}, {policy}"))
            raise
    return sim, ending


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", REFERENCES)
def test_a_run_survives_a_refusal_at_every_call(name: str, when: str, counted: Counted) -> None:
    calls, _ = without_a_fault(name)
    for number in range(1, len(calls) + 1):
        policy = OneFault(number, when, Refuse())

        ends(name, policy)

        assert policy.struck
        counted("refusals")


@dataclass
class Outage(Policy):
    """From the n-th call on, one service refuses everything for a while."""

    service: str
    number: int
    ms: int
    when: str = "before"
    since: int | None = None
    refused: int = 0

    def fault(self, number: int, call: str, when: str, actor: Actor) -> Fault | None:
        now = self.now()
        if number == self.number and self.since is None:
            self.since = now
        down = self.since is not None and now < self.since + self.ms
        if not down or when != self.when or not call.startswith(f"{self.service}."):
            return None
        self.refused += 1
        return Refuse()


@pytest.mark.parametrize(("service", "minutes"), OUTAGES)
@pytest.mark.parametrize("name", REFERENCES)
def test_a_run_outlives_an_outage_of_each_service(
    name: str, service: str, minutes: int, counted: Counted
) -> None:
    calls, _ = without_a_fault(name)
    met = 0
    for number in range(1, len(calls) + 1, max(1, len(calls) // 12)):
        policy = Outage(service, number, minutes * MINUTE_MS)

        ends(name, policy, extra_ms=policy.ms)

        met += policy.refused
        counted("outages")
    assert met or service in {"builds", "workers"}, "nothing was refused, so nothing was shown"


@dataclass
class Late(Policy):
    """S3 events come minutes late, and twice."""

    late_ms: int

    def delays(self, delivery: Delivery) -> Sequence[int]:
        return (self.late_ms, self.late_ms * 2) if delivery.function == ORCHESTRATOR else (0,)


@pytest.mark.parametrize("minutes", [1, 3, 7])
@pytest.mark.parametrize("name", REFERENCES)
def test_a_run_goes_on_when_notifications_are_minutes_late(name: str, minutes: int) -> None:
    calm, _ = simulate(name, Policy())
    sim, ending = simulate(name, Late(minutes * MINUTE_MS))

    assert ending.run.status == Ending.of(calm, "r1").run.status
    assert sim.started == calm.started


@dataclass
class Refused(Policy):
    """What starts work is refused, for good or for a while (ms)."""

    call: str
    ms: int | None = None
    since: int | None = None

    def fault(self, number: int, call: str, when: str, actor: Actor) -> Fault | None:
        if call != self.call or when != "before":
            return None
        self.since = self.since or self.now()
        if self.ms is None:
            return Refuse(permanent=True)
        return Refuse() if self.now() < self.since + self.ms else None


@pytest.mark.parametrize(
    ("call", "name"), [("workers.start", "diamond"), ("watchdogs.start", "one order")]
)
def test_a_limit_on_what_is_started_makes_orders_wait_and_costs_none(call: str, name: str) -> None:
    """TooManyRequests, ExecutionLimitExceeded: for as long as five minutes."""
    sim, ending = simulate(name, Refused(call, 5 * MINUTE_MS))

    assert ending.run.status is JobStatus.SUCCEEDED
    assert set(sim.started.values()) == {1}


def test_what_can_never_be_started_fails_its_order_with_the_reason() -> None:
    with Simulation(Refused("workers.start")) as sim:
        sim.submit(REFERENCES["one order"].job)
        sim.run()
        ending = Ending.of(sim, "r1")

    (row,) = ending.rows.values()
    assert (row.status, ending.run.status) == ("failed", JobStatus.FAILED)
    assert row.reason is not None
    assert "calling workers.start: not now" in row.reason
