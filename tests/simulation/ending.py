"""What must be true of a run when nothing will happen any more: the second group of invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.common import keys
from src.common.codec import decode
from src.common.records import Order, Run
from src.common.status import TERMINAL
from tests.simulation.invariants import hold
from tests.simulation.jobs import SECRETS
from tests.simulation.model import BUSY, Plan
from tests.simulation.simulation import Simulation
from tests.support.leaks import out_of_place

MINUTE_MS = 60_000
CALM_MS, FAULTY_MS = 2 * MINUTE_MS, 6 * MINUTE_MS

ENDS_AS = {"dies": "timed_out", "lost": "failed"}  # what the watchdog says of them
OUTSIDE = {"failed", "timed_out"}  # how an order may end whose own process was killed


@dataclass(frozen=True)
class Ending:
    """A run that has ended, as it is stored."""

    run: Run
    rows: Mapping[str, Order]
    plan: Plan
    sim: Simulation

    @classmethod
    def of(cls, sim: Simulation, run_id: str) -> Ending:
        """Read what became of a run."""
        plan = sim.watch.models[run_id].plan
        run = sim.stored.runs.run(run_id)
        assert run is not None, f"{run_id} is gone"
        return cls(run, sim.stored.runs.orders(run_id, plan.needs), plan, sim)

    @property
    def slack_ms(self) -> int:
        """How much later than its deadline something may be."""
        return self.slack(FAULTY_MS)

    def slack(self, each_ms: int) -> int:
        """Return what is allowed for `each_ms` a fault, and for events that are late by order."""
        return (len(self.sim.faults) * each_ms or CALM_MS) + self.sim.policy.late_ms

    @property
    def closed(self) -> bool:
        """Whether the run was ended early."""
        return self.run.closing is not None


def check(sim: Simulation, run_id: str = "r1") -> Ending:
    """Make sure that a run ended well.

    Raises:
        Violation: it did not.
    """
    ending = Ending.of(sim, run_id)
    _it_ends(ending)
    _in_time(ending)
    _takes_effect(ending)
    _exactly_once(ending)
    _right_end(ending)
    _true_story(ending)
    _nothing_in_clear(ending)
    _all_is_free(ending)
    model = sim.watch.models[run_id]
    model.agrees_with_rows(ending.run, ending.rows)
    hold("one end", model.done and model.finished_json, "no done object, or no finished.json")
    return ending


def _it_ends(ending: Ending) -> None:
    run = ending.run
    hold("it ends", run.finished_at is not None, f"{run.run_id} has not ended: {run}")
    assert run.finished_at is not None
    late = (run.finished_at - run.end_by - ending.slack_ms) / 1000
    hold("it ends", late <= 0, f"{run.run_id} ended {late} s late")


def _in_time(ending: Ending) -> None:
    for num, row in ending.rows.items():
        if row.dispatched_at is None or row.finished_at is None:
            continue
        assert row.start_by is not None
        body = ending.sim.stored.internal.get(keys.claim_key(row.run_id, num))
        claim = decode(body) if body is not None else {}
        due = int(claim["end_by"]) if claim.get("by") == "worker" else row.start_by
        late = (row.finished_at - due - ending.slack_ms) / 1000
        hold("in time", late <= 0, f"{num} ended {late} s late")


def _takes_effect(ending: Ending) -> None:
    model = ending.sim.watch.models[ending.run.run_id]
    late = {}
    for what, ms in model.lags.items():
        # An order has a watchdog of its own, which looks once a minute; the run's pokes every five.
        if ms > ending.slack(4 * MINUTE_MS if keys.is_order_num(what) else FAULTY_MS):
            late[what] = ms / 1000
    hold("takes effect", not late, f"took effect after so many seconds: {late}")


def _exactly_once(ending: Ending) -> None:
    sim, run = ending.sim, ending.run
    for num, row in ending.rows.items():
        times = sim.started[f"{run.run_id}:{num}"]
        lost = sim.outcomes.get(row.name) == "lost"
        excused = num in sim.disturbed or lost or row.status == "cancelled"
        had_to = row.dispatched_at is not None and not excused and not _too_late(run, row)
        hold("exactly once", not had_to or times == 1, f"{num} started {times} times")
        hold("one start", times <= 1, f"{num} started {times} times")


def _too_late(run: Run, row: Order) -> bool:
    """The deadline of order or run was there before a worker was."""
    cut = row.start_by == run.end_by  # the run's deadline is within the order's start window
    return row.status in OUTSIDE and (cut or "deadline" in (row.reason or ""))


def _right_end(ending: Ending) -> None:
    """The reference: what each order ends as, by the outcomes that its commands were given."""
    sim, plan = ending.sim, ending.plan
    for num in plan.needs:
        hold("right end", num in ending.rows, f"{num} has no row")
        row = ending.rows[num]
        outcome = sim.outcomes.get(row.name, "succeeded")
        stopped = [
            need
            for need in plan.needs[num]
            if ending.rows[need].status == "skipped"
            or (ending.rows[need].status != "succeeded" and plan.must_succeed[need])
        ]
        allowed = {"skipped"} if stopped else {ENDS_AS.get(outcome, outcome)}
        if not stopped and num in sim.disturbed:
            allowed |= OUTSIDE
        if ending.closed:
            allowed |= {"skipped", "cancelled", *OUTSIDE}
        hold("right end", row.status in allowed, f"{num} ended {row.status}, not {allowed}")


def _true_story(ending: Ending) -> None:
    """Each order's row and its events say the same, and so do the run item and the job's events."""
    run = ending.run
    events = ending.sim.stored.runs.events(run.trace_id)
    told: dict[str, list[str]] = {}
    for event in (e for e in events if e.run_id == run.run_id and e.event != "late_result"):
        told.setdefault(event.order_name, []).append(event.event)
    twice = {n: c for n, names in told.items() if (c := Counter(names)) and max(c.values()) > 1}
    hold("true story", not twice, f"told twice: {twice}")
    for row in ending.rows.values():
        expected = [str(row.status)]
        if row.dispatched_at is not None:
            expected.insert(0, "claimed")
        names = [name for name in told.pop(row.name, []) if name != "handed_over"]
        hold("true story", names == expected, f"{row.name}: {names}, not {expected}")
    job = set(told.pop(keys.JOB, []))
    expected_of_job = {"accepted", "finished"}
    if run.packaged_at is not None:
        expected_of_job.add("packaged")
    if run.closing is not None:
        expected_of_job.add("closing")
    hold("true story", job == expected_of_job, f"the job: {job}, not {expected_of_job}")
    hold("true story", not told, f"events of no order: {told}")
    ends = [e.status for e in events if e.run_id == run.run_id and e.event == "finished"]
    hold("true story", ends == [run.status], f"told to end as {ends}, and did as {run.status}")


def _nothing_in_clear(ending: Ending) -> None:
    found = out_of_place(ending.sim.left(), SECRETS.items())
    hold("nothing in clear", not found, "\n".join(found))


def _all_is_free(ending: Ending) -> None:
    sim, run = ending.sim, ending.run
    lock = sim.stored.locks.get(run.run_id)
    hold("all is free", lock is not None and lock.completed, f"the lock: {lock}")
    assert lock is not None
    hold("all is free", lock.owner is None, f"the lock: {lock}")
    active = [num for num, row in ending.rows.items() if row.status in BUSY]
    hold("all is free", not active, f"{active} are still under way")
    open_ = [row.num for row in ending.rows.values() if row.status not in TERMINAL]
    hold("all is free", not open_ or ending.closed, f"{open_} never ended")
    assert run.finished_at is not None
    for name, ended in sim.aws.executions.items():
        if name.startswith(f"{run.run_id}-"):
            hold("all is free", ended is not None, f"watchdog {name} never ends")


def story_of(sim: Simulation, how: str) -> str:
    """Return what to show of a simulation that went wrong: how to repeat it, and its story."""
    faults: Any = "; ".join(sim.faults) or "none"
    return f"{how}\nfaults: {faults}\n\n{sim.story.text()}"
