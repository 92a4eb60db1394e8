"""Whole runs through the real handlers, in memory and on moto."""

from __future__ import annotations

import pytest

from src.common import keys
from src.common.codec import decode, encode
from src.common.messages import Claim, Result
from src.common.status import JobStatus, OrderStatus
from src.local.stack import ORCHESTRATOR
from src.local.world import s3_event
from tests.integration.conftest import MakeSim
from tests.support.sim import a_job, chain

pytestmark = pytest.mark.integration

S = OrderStatus


def test_the_init_trigger_wakes_the_orchestrator_which_starts_the_runs_watchdog(
    make_sim: MakeSim, run_id: str
) -> None:
    sim = make_sim()

    sim.submit(a_job("one"), run_id=run_id)

    assert sim.adapters.internal.get(keys.accepted_key(run_id)) is not None
    assert sim.run(run_id).seen_at is None

    assert sim.world.step()

    assert sim.run(run_id).seen_at is not None


def test_three_waves_of_three_orders_run_in_order(make_sim: MakeSim) -> None:
    waves = [
        {
            "order_name": f"w{w}-{n}",
            "dependencies": [f"w{w - 1}-{m}" for m in range(3)] if w else [],
        }
        for w in range(3)
        for n in range(3)
    ]
    sim = make_sim()

    run, rows = sim.run_to_end(a_job(*waves))

    assert run.status is JobStatus.SUCCEEDED
    assert {row.status for row in rows.values()} == {S.SUCCEEDED}
    assert [name[:2] for name in sim.worker.order] == ["w0"] * 3 + ["w1"] * 3 + ["w2"] * 3
    assert sim.done(run.run_id)["counts"] == {"succeeded": 9}


def test_lambda_and_codebuild_orders_run_side_by_side(make_sim: MakeSim) -> None:
    sim = make_sim()

    run, _ = sim.run_to_end(
        a_job("quick", {"order_name": "slow", "use_lambda": False, "timeout": 3600})
    )

    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"quick": 1, "slow": 1}


def test_what_depends_on_a_failed_order_is_skipped_with_the_reason(make_sim: MakeSim) -> None:
    sim = make_sim({"a": "failed"})

    run, rows = sim.run_to_end(a_job(*chain("a", "b", "c"), "independent"))

    assert run.status is JobStatus.FAILED
    assert (rows["b"].status, rows["b"].reason) == (S.SKIPPED, "dependency a failed")
    assert (rows["c"].status, rows["c"].reason) == (S.SKIPPED, "dependency b skipped")
    assert rows["independent"].status is S.SUCCEEDED


def test_an_allowed_failure_stops_nobody(make_sim: MakeSim) -> None:
    orders = chain("a", "b")
    orders[0]["must_succeed"] = False
    sim = make_sim({"a": "failed"})

    run, rows = sim.run_to_end(a_job(*orders))

    assert run.status is JobStatus.SUCCEEDED
    assert [rows[name].status for name in "ab"] == [S.FAILED, S.SUCCEEDED]


def test_nothing_passes_over_a_failure_by_way_of_an_order_that_was_only_skipped(
    make_sim: MakeSim,
) -> None:
    """An apply that waits for a check that may fail, which waits for the plan that failed."""
    orders = chain("plan", "check", "apply")
    orders[1]["must_succeed"] = False
    sim = make_sim({"plan": "failed"})

    run, rows = sim.run_to_end(a_job(*orders))

    assert run.status is JobStatus.FAILED
    assert {name: row.status for name, row in rows.items()} == {
        "plan": "failed",
        "check": "skipped",
        "apply": "skipped",
    }
    assert rows["apply"].reason == "dependency check skipped"
    assert sim.worker.started == {"plan": 1}


def test_the_watchdog_ends_an_order_whose_worker_died(make_sim: MakeSim) -> None:
    sim = make_sim({"a": "dies"})

    run, rows = sim.run_to_end(a_job({"order_name": "a", "timeout": 100}, *chain("x", "y")))

    assert rows["a"].status is S.TIMED_OUT
    assert rows["y"].status is S.SUCCEEDED
    assert run.status is JobStatus.FAILED
    assert rows["a"].finished_at is not None
    assert rows["a"].dispatched_at is not None
    # Deadline, 30 s of grace, and at most one turn of 60 s.
    assert 130_000 <= rows["a"].finished_at - rows["a"].dispatched_at <= 100_000 + 120_000


def test_an_order_that_no_worker_claimed_failed_as_never_started(make_sim: MakeSim) -> None:
    sim = make_sim({"a": "lost"})

    run, rows = sim.run_to_end(a_job("a"))

    assert rows["a"].status is S.FAILED
    assert rows["a"].reason is not None
    assert "never started" in rows["a"].reason
    assert run.status is JobStatus.FAILED
    assert rows["a"].finished_at is not None
    assert rows["a"].start_by is not None
    assert rows["a"].finished_at - rows["a"].start_by <= 120_000


def test_the_jobs_deadline_ends_everything(make_sim: MakeSim) -> None:
    sim = make_sim({"a": "dies"})

    run, rows = sim.run_to_end(
        a_job(
            {"order_name": "a", "timeout": 500},
            {"order_name": "b", "dependencies": ["a"]},
            job_timeout=90,
        )
    )

    assert run.status is JobStatus.TIMED_OUT
    assert (rows["a"].status, rows["b"].status) == (S.TIMED_OUT, S.SKIPPED)
    assert run.finished_at is not None
    assert run.finished_at <= run.end_by + 120_000


def test_max_parallel_is_never_exceeded(make_sim: MakeSim) -> None:
    sim = make_sim()
    most = 0

    def look(_dispatch: object) -> None:
        nonlocal most
        rows = sim.rows(sim.run(run_id))
        most = max(most, sum(row.status in {"dispatching", "running"} for row in rows.values()))

    sim.worker.before = look
    answer = sim.submit(a_job(*"abcdefg", max_parallel=2))
    run_id = answer["body"]["run_id"]
    run = sim.finish(run_id)

    assert run.status is JobStatus.SUCCEEDED
    assert most == 2


def test_a_cancel_ends_what_waits_and_stops_what_runs(make_sim: MakeSim, run_id: str) -> None:
    sim = make_sim({"a": "dies"})
    sim.submit(
        a_job({"order_name": "a", "timeout": 500}, *chain("b", "c"), max_parallel=1), run_id=run_id
    )
    sim.settle()

    sim.adapters.internal.put(keys.cancel_key(run_id), b"{}")
    sim.settle()

    assert sim.adapters.internal.get(keys.stop_key(run_id, "0001")) is not None
    rows = sim.rows(sim.run(run_id))
    assert (rows["b"].status, rows["c"].status) == (S.CANCELLED, S.CANCELLED)
    assert rows["a"].status is S.RUNNING

    # The worker saw the object, ended its commands and says so.
    result = Result(status=S.CANCELLED, exit_code=143)
    sim.adapters.internal.put_new(keys.result_key(run_id, "0001"), encode(result.to_item()))
    run = sim.finish(run_id)

    assert run.status is JobStatus.CANCELLED
    assert sim.rows(run)["a"].status is S.CANCELLED


def test_a_cancel_keeps_a_claimed_but_unstarted_order_from_ever_starting(
    make_sim: MakeSim, run_id: str
) -> None:
    sim = make_sim({"a": "lost"})
    sim.submit(a_job("a"), run_id=run_id)
    sim.settle()

    sim.adapters.internal.put(keys.cancel_key(run_id), b"{}")
    run = sim.finish(run_id, within_s=60)

    assert run.status is JobStatus.CANCELLED
    claim = sim.adapters.internal.get(keys.claim_key(run_id, "0001"))
    assert claim is not None
    assert Claim.from_item(decode(claim)).by == "orchestrator"


def test_duplicate_late_and_reordered_events_change_nothing(make_sim: MakeSim, run_id: str) -> None:
    sim = make_sim()
    job = a_job(*chain("a", "b"))
    sim.submit(job, run_id=run_id)
    run = sim.finish(run_id)
    before = (run, sim.rows(run), sim.adapters.runs.events(run.trace_id))
    bucket = sim.stack.buckets["internal"].name
    all_keys = [
        keys.result_key(run_id, "0002"),
        keys.result_key(run_id, "0001"),
        keys.result_key(run_id, keys.PACKAGING),
        keys.accepted_key(run_id),
        keys.poke_key(run_id),
    ]
    records = [s3_event(bucket, key)["Records"][0] for key in all_keys + all_keys]

    sim.world.invoke(ORCHESTRATOR, {"Records": records})
    for record in reversed(records):
        sim.world.invoke(ORCHESTRATOR, {"Records": [record]})
    sim.settle()

    run = sim.run(run_id)
    assert (run, sim.rows(run), sim.adapters.runs.events(run.trace_id)) == before
    assert sim.worker.started == {"a": 1, "b": 1}


def test_one_event_may_carry_records_of_several_runs(make_sim: MakeSim, run_id: str) -> None:
    sim = make_sim()
    other = run_id + "-b"
    sim.submit(a_job("a"), run_id=run_id)
    sim.submit(a_job("a"), run_id=other)
    bucket = sim.stack.buckets["internal"].name

    context = sim.world.context("both")
    both = [s3_event(bucket, keys.accepted_key(name))["Records"][0] for name in (run_id, other)]
    sim.world.functions[ORCHESTRATOR]({"Records": both}, context)

    assert sim.run(run_id).seen_at is not None
    assert sim.run(other).seen_at is not None


def test_a_duplicate_dispatch_starts_the_commands_once(make_sim: MakeSim, run_id: str) -> None:
    sim = make_sim()
    deliveries = []
    worker = sim.worker
    sim.world.on_work = lambda delivery: (deliveries.append(delivery), worker(delivery))[0]
    sim.submit(a_job("a"), run_id=run_id)
    sim.finish(run_id)

    for delivery in deliveries * 2:
        worker(delivery)

    assert worker.started == {"a": 1}


def test_two_runs_at_once_do_not_mix(make_sim: MakeSim, run_id: str) -> None:
    sim = make_sim({"bad": "failed"})
    other = run_id + "-b"
    sim.submit(a_job(*chain("x", "y", "z")), run_id=run_id)
    sim.submit(a_job(*chain("bad", "y", "z")), run_id=other)

    assert sim.finish(run_id).status is JobStatus.SUCCEEDED
    assert sim.finish(other).status is JobStatus.FAILED


def test_the_story_of_a_run_is_told_in_its_events(make_sim: MakeSim) -> None:
    sim = make_sim({"b": "failed"})

    run, _ = sim.run_to_end(a_job(*chain("a", "b", "c")))

    story = {(event.order_name, event.event) for event in sim.adapters.runs.events(run.trace_id)}
    assert story == {
        *((keys.JOB, event) for event in ("accepted", "packaged", "finished")),
        *(("a", event) for event in ("claimed", "handed_over", "succeeded")),
        *(("b", event) for event in ("claimed", "handed_over", "failed")),
        ("c", "skipped"),
    }


@pytest.mark.parametrize(
    ("names", "told"), [("a", "1 order for alice"), ("abc", "3 orders for alice")]
)
def test_the_first_event_says_how_much_was_asked_for_and_by_whom(
    make_sim: MakeSim, names: str, told: str
) -> None:
    sim = make_sim()

    run, _ = sim.run_to_end(a_job(*chain(*names)))

    (first,) = [e for e in sim.adapters.runs.events(run.trace_id) if e.event == "accepted"]
    assert first.message == told


def test_a_chain_of_twenty_levels_runs_through(make_sim: MakeSim) -> None:
    sim = make_sim()

    run, rows = sim.run_to_end(a_job(*chain(*(f"level-{n}" for n in range(20)))))

    assert run.status is JobStatus.SUCCEEDED
    assert len(rows) == 20


def test_every_watchdog_ends_once_its_order_and_its_run_ended(make_sim: MakeSim) -> None:
    sim = make_sim({"b": "dies"})
    run, _ = sim.run_to_end(a_job(*chain("a", "b", "c")))
    assert run.finished_at is not None

    sim.let_watchdogs_end()

    assert sim.clock.now <= run.finished_at + 2 * 60_000
