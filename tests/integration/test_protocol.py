"""Each way in which a weaker form of the rules failed, as a regression."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.common import keys
from src.common.bundle import extract
from src.common.codec import encode
from src.common.errors import Conflict, LeaseLost, Permanent, Transient
from src.common.messages import Dispatch
from src.common.records import Change
from src.common.status import JobStatus, OrderStatus
from src.local.platform import embedded
from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, Stack
from src.local.world import Delivery, s3_event
from src.orchestrator.lease import LEASE_MS
from tests.support.faults import FaultySim, ProcessDied, die_at, die_on
from tests.support.sim import OwnedClock, Sim, a_job, chain

pytestmark = pytest.mark.integration

S = OrderStatus
RUN = "r1"


def wake(sim: Sim, mark_key: str) -> dict[str, Any]:
    return s3_event(sim.stack.buckets["internal"].name, mark_key)


# -- accepting ------------------------------------------------------------------------------------


def test_accepting_wakes_with_a_key_of_its_own_and_leaves_packagings_result_to_packaging() -> None:
    sim = Sim()

    sim.submit(a_job("a"), run_id=RUN)

    assert sim.adapters.internal.get(keys.accepted_key(RUN)) is not None
    assert sim.adapters.internal.get(keys.result_key(RUN, keys.PACKAGING)) is None


def calls_of_accept() -> int:
    sim = FaultySim()
    sim.submit(a_job("a"), run_id=RUN)
    return len(sim.faults.calls)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, calls_of_accept() + 1))
def test_a_resend_makes_good_a_death_in_every_window_of_accepting(number: int, when: str) -> None:
    sim = FaultySim(die_at(number, when))
    with pytest.raises(RuntimeError, match="the process died"):
        sim.submit(a_job("a"), run_id=RUN)

    answer = sim.submit(a_job("a"), run_id=RUN)

    assert answer["statusCode"] == 200
    assert sim.finish(RUN).status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"a": 1}


def test_accepting_that_takes_itself_for_a_duplicate_still_wakes_and_packages() -> None:
    """A transaction takes effect, its reply is lost, the SDK's repetition finds its record."""
    platform = embedded(Stack(), {}, OwnedClock())
    store = platform.runs
    first_try = store.accept

    def twice(*args: Any) -> Any:
        first_try(*args)
        return first_try(*args)

    store.accept = twice
    sim = Sim(platform=platform)

    run, _ = sim.run_to_end(a_job("a"))

    assert run.status is JobStatus.SUCCEEDED


def test_a_body_without_run_id_is_a_redelivery_for_ten_minutes_and_a_new_run_later() -> None:
    sim = Sim()
    first = sim.submit(a_job("a"))["body"]
    sim.clock.sleep(9 * 60)
    again = sim.submit(a_job("a"))["body"]
    sim.clock.sleep(60)
    later = sim.submit(a_job("a"))["body"]

    assert again == first
    assert later["run_id"] != first["run_id"]


# -- packaging ------------------------------------------------------------------------------------


def calls_of_packaging() -> tuple[int, int]:
    sim = FaultySim()
    sim.submit(a_job("a", "b"), run_id=RUN)
    sim.world.step()
    accepted = len(sim.faults.calls)
    sim.world.step()
    return accepted + 1, len(sim.faults.calls)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(calls_of_packaging()[0], calls_of_packaging()[1] + 1))
def test_packaging_that_dies_anywhere_is_repeated_without_harm(number: int, when: str) -> None:
    sim = FaultySim(die_at(number, when))
    sim.submit(a_job("a", "b"), run_id=RUN)

    run = sim.finish(RUN)

    assert sim.faults.struck
    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"a": 1, "b": 1}


@pytest.mark.parametrize("late_by", range(1, 12))
def test_packaging_twice_at_once_agrees_on_identities_and_resets_nothing(late_by: int) -> None:
    """The second packager runs as a whole between two calls of the first."""
    sim = FaultySim()
    sim.submit(a_job("a", "b"), run_id=RUN)
    sim.world.step()
    begun, ran = len(sim.faults.calls), []

    def meanwhile(call: int, _name: str, when: str) -> None:
        if call == begun + late_by and when == "after" and not ran:
            ran.append(True)
            sim.world.functions[PROCESS_WEBHOOK]({keys.PACKAGE_RUN: RUN}, sim.world.context("2"))

    sim.faults.strike = meanwhile
    opened = []
    sim.worker.before = lambda dispatch: opened.append(open_bundle(sim, dispatch))
    run = sim.finish(RUN)

    assert ran
    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"a": 1, "b": 1}
    assert opened == [("true",), ("true",)]


def open_bundle(sim: Sim, dispatch: Dispatch) -> tuple[str, ...]:
    """Return the commands in the bundle, opened with the identity that the worker was handed."""
    body = sim.adapters.internal.get(dispatch.bundle_key)
    assert body is not None
    with tempfile.TemporaryDirectory() as folder:
        return extract(body, Path(folder), dispatch.identity).cmds


def test_a_late_second_packager_resets_no_finished_order() -> None:
    sim = Sim()
    run, rows = sim.run_to_end(a_job("a"), run_id=RUN)

    sim.world.functions[PROCESS_WEBHOOK]({keys.PACKAGE_RUN: RUN}, sim.world.context("late"))

    assert sim.rows(run) == rows


def test_packaging_reports_only_after_the_orchestrator_came() -> None:
    sim = Sim()
    sim.submit(a_job("a"), run_id=RUN)
    packaging = next(d for d in list(sim.world._queue) if d.function == PROCESS_WEBHOOK)

    with pytest.raises(Exception, match="the orchestrator has not come yet"):
        sim.world.functions[PROCESS_WEBHOOK](packaging.event, sim.world.context("early"))

    assert sim.adapters.internal.get(keys.result_key(RUN, keys.PACKAGING)) is None


def test_packaging_that_meets_permanent_trouble_says_why_at_once() -> None:
    sim = Sim()

    def denied(*_: Any) -> None:
        raise Permanent("writing rows: AccessDenied")

    sim.platform.runs.add_orders = denied
    run, _ = sim.run_to_end(a_job("a"), run_id=RUN)

    assert run.status is JobStatus.FAILED
    assert run.reason == "packaging failed: writing rows: AccessDenied"
    assert run.finished_at == run.created_at


@pytest.mark.parametrize(("close", "status"), [("cancel", "cancelled"), ("deadline", "skipped")])
def test_done_shows_no_order_of_a_closed_run_as_waiting(close: str, status: str) -> None:
    """The packager is slow: its rows come when the run is already over."""
    sim = Sim()
    sim.submit(a_job("a", "b", job_timeout=30), run_id=RUN)
    packager = sim.world._queue.pop()
    sim.settle()
    if close == "cancel":
        sim.adapters.internal.put(keys.cancel_key(RUN), b"{}")
    run = sim.finish(RUN)
    sim.world.functions[packager.function](packager.event, sim.world.context("late"))
    sim.settle()

    assert {order["status"] for order in sim.done(RUN)["orders"].values()} == {status}
    assert run.counts == {status: 2}
    assert {row.status for row in sim.rows(run).values()} == {status}
    assert sim.adapters.internal.get(keys.bundle_key(RUN, "0001")) is None


def calls_of_a_packager() -> int:
    sim = FaultySim()
    sim.submit(a_job("a", "b"), run_id=RUN)
    packager = sim.world._queue.pop()
    sim.settle()
    before = len(sim.faults.calls)
    sim.world.functions[packager.function](packager.event, sim.world.context("alone"))
    return len(sim.faults.calls) - before


@pytest.mark.parametrize("dies", [False, True])
@pytest.mark.parametrize("nth", range(1, calls_of_a_packager() + 1))
def test_a_run_that_closes_while_its_packager_is_at_work_leaves_no_order_queued(
    nth: int, *, dies: bool
) -> None:
    """The run is over before the n-th call of the packager, which may die there."""
    sim = FaultySim()
    sim.submit(a_job("a", "b"), run_id=RUN)
    packager = sim.world._queue.pop()
    sim.settle()
    begun, ran = len(sim.faults.calls), []

    def meanwhile(call: int, _name: str, when: str) -> BaseException | None:
        if call == begun + nth and when == "before" and not ran:
            ran.append(True)
            sim.adapters.internal.put(keys.cancel_key(RUN), b"{}")
            sim.settle()
            return ProcessDied("here") if dies else None
        return None

    sim.faults.strike = meanwhile
    with contextlib.suppress(RuntimeError):
        sim.world.functions[packager.function](packager.event, sim.world.context("slow"))
    sim.world.functions[packager.function](packager.event, sim.world.context("again"))
    run = sim.finish(RUN)

    assert ran
    assert run.status is JobStatus.CANCELLED
    assert [row.status for row in sim.rows(run).values()] == ["cancelled", "cancelled"]
    assert sim.worker.started == {}


def test_packaging_that_never_ends_is_ended_by_the_runs_watchdog() -> None:
    sim = FaultySim(die_on("runs.add_orders", "before", times=3))
    sim.submit(a_job("a"), run_id=RUN)

    run = sim.finish(RUN)

    assert run.status is JobStatus.FAILED
    assert run.reason is not None
    assert "packaging did not end by its deadline" in run.reason
    assert run.finished_at is not None
    assert run.finished_at <= run.package_by + 120_000
    assert sim.done(RUN)["orders"]["a"]["status"] == "skipped"


# -- dispatch -------------------------------------------------------------------------------------


def test_a_throttled_invocation_that_arrives_after_the_end_starts_nothing() -> None:
    sim = Sim({"a": "lost"})
    kept: list[Delivery] = []
    worker = sim.worker
    sim.world.on_work = kept.append
    sim.submit(a_job("a"), run_id=RUN)
    run = sim.finish(RUN)

    assert run.status is JobStatus.FAILED

    worker.outcomes = {}
    for delivery in kept:
        worker(delivery)

    assert worker.started == Counter()


def test_a_result_between_hand_over_and_confirmation_ends_the_order() -> None:
    sim = FaultySim()
    ran = []

    def worker_is_faster(_call: int, name: str, when: str) -> None:
        if name == "workers.start" and when == "after" and not ran:
            ran.append(True)
            delivery = sim.world._queue.pop()
            sim.worker(delivery)

    sim.faults.strike = worker_is_faster
    sim.submit(a_job(*chain("a", "b")), run_id=RUN)

    assert sim.finish(RUN).status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"a": 1, "b": 1}


@pytest.mark.parametrize("method", ["watchdogs.start", "workers.start", "builds.start"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_between_claim_and_confirmation_is_repeated_by_the_next_round(
    method: str, when: str
) -> None:
    job = a_job("a", {"order_name": "b", "use_lambda": False})
    sim = FaultySim(die_on(method, when), lost=frozenset({ORCHESTRATOR}))

    run, _ = sim.run_to_end(job)

    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"a": 1, "b": 1}


@pytest.mark.parametrize("ends", ["succeeded", "failed", "dies"])
def test_a_hand_over_that_is_refused_after_its_effect_is_the_workers_to_end(ends: str) -> None:
    """The worker has the claim and works on: nobody may end the order beside it, or stop it."""
    sim = FaultySim(outcomes={"a": ends})
    refused = []

    def refuse(_call: int, name: str, when: str) -> BaseException | None:
        if name == "workers.start" and when == "after" and not refused:
            refused.append(sim.world._queue.pop())
            sim.worker.outcomes = {"a": "dies"}  # it has begun, and reports later
            sim.worker(refused[0])
            sim.worker.outcomes = {"a": ends}
            return Permanent("AccessDenied")
        return None

    sim.faults.strike = refuse
    sim.submit(a_job("a"), run_id=RUN)
    sim.settle()
    row = sim.rows(sim.run(RUN))["a"]
    stopped = sim.adapters.internal.get(keys.stop_key(RUN, "0001"))
    if ends != "dies":
        report = {"status": ends, "exit_code": 0}
        sim.adapters.internal.put_new(keys.result_key(RUN, "0001"), encode(report))
    run = sim.finish(RUN)

    assert (row.status, stopped) == ("running", None)
    assert sim.rows(run)["a"].status == {"dies": "timed_out"}.get(ends, ends)


def test_a_claim_whose_reply_was_lost_is_our_own() -> None:
    platform = embedded(Stack(), {}, OwnedClock())
    store = platform.runs
    once = store.commit

    def twice(change: Any) -> None:
        once(change)
        once(change)

    store.commit = twice  # type: ignore[method-assign]
    sim = Sim(platform=platform)

    run, _ = sim.run_to_end(a_job(*chain("a", "b")))

    assert run.status is JobStatus.SUCCEEDED


# -- the lock -------------------------------------------------------------------------------------


def held_by_another(sim: Sim) -> None:
    """Leave the run's lock with a holder that is at work elsewhere."""
    sim.submit(a_job("a"), run_id=RUN)
    run = sim.run(RUN)
    sim.adapters.locks.mark(run, frozenset({keys.ACCEPTED}))
    now = sim.clock.now_ms()
    sim.adapters.locks.take(RUN, "another", now, now + LEASE_MS)


def test_an_event_that_finds_the_lock_held_leaves_its_mark_and_the_holder_goes_round_again() -> (
    None
):
    sim = Sim()
    held_by_another(sim)
    seen = sim.adapters.locks.get(RUN)
    assert seen is not None

    sim.adapters.locks.mark(sim.run(RUN), frozenset({"0001"}))

    assert not sim.adapters.locks.release(RUN, "another", seen.wake, seen.pending)
    lock = sim.adapters.locks.get(RUN)
    assert lock is not None
    assert lock.pending == {keys.ACCEPTED, "0001"}
    assert lock.owner == "another"


def test_a_lease_that_ran_out_is_stolen_with_all_marks() -> None:
    sim = Sim()
    held_by_another(sim)
    began = sim.clock.now

    sim.world.functions[ORCHESTRATOR](wake(sim, keys.accepted_key(RUN)), sim.world.context("x"))

    assert sim.clock.now - began <= LEASE_MS + 1000
    assert sim.run(RUN).seen_at is not None
    assert sim.finish(RUN).status is JobStatus.SUCCEEDED


def test_a_waiting_event_ends_once_the_holder_gave_its_mark_its_effect() -> None:
    sim = Sim()
    held_by_another(sim)
    nap = sim.clock.sleep

    def holder_finishes(seconds: float) -> None:
        nap(seconds)
        lock = sim.adapters.locks.get(RUN)
        assert lock is not None
        if lock.owner == "another":
            assert sim.adapters.locks.release(RUN, "another", lock.wake, lock.pending)

    sim.clock.sleep = holder_finishes  # type: ignore[method-assign]
    sim.world.functions[ORCHESTRATOR](wake(sim, keys.accepted_key(RUN)), sim.world.context("x"))

    assert sim.run(RUN).seen_at is None  # it did nothing itself: the mark was taken


@pytest.mark.parametrize("nth", range(1, 7))
def test_a_holder_that_wakes_up_after_its_lease_was_stolen_does_no_harm(nth: int) -> None:
    """It sleeps before its n-th commit while another holder moves the run on."""
    sim = FaultySim()
    commits = [0]

    def sleep_through_the_lease(_call: int, name: str, when: str) -> None:
        if name == "runs.commit" and when == "before":
            commits[0] += 1
            if commits[0] == nth:
                sim.clock.sleep(LEASE_MS / 1000 + 1)
                poke = wake(sim, keys.poke_key(RUN))
                sim.world.functions[ORCHESTRATOR](poke, sim.world.context("thief"))

    sim.faults.strike = sleep_through_the_lease
    job = a_job(*chain("a", "b"), {"order_name": "c", "use_lambda": False})
    sim.submit(job, run_id=RUN)
    run = sim.finish(RUN)

    assert commits[0] >= nth
    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"a": 1, "b": 1, "c": 1}
    story = Counter((e.order_name, e.event) for e in sim.adapters.runs.events(run.trace_id))
    assert set(story.values()) == {1}


def test_a_stale_holder_cannot_write_even_if_it_never_asks_for_its_lease() -> None:
    sim = Sim()
    sim.submit(a_job("a"), run_id=RUN)
    run = sim.run(RUN)
    sim.adapters.runs.commit(Change(run=replace(run, seen_at=1, rev=1, rev_by="thief:1")))

    with pytest.raises(Conflict):
        sim.adapters.runs.commit(Change(run=replace(run, seen_at=2, rev=1, rev_by="stale:1")))


def test_a_holder_whose_own_time_runs_out_leaves_new_marks_to_those_who_made_them() -> None:
    sim = FaultySim()
    sim.submit(a_job("a"), run_id=RUN)
    marked = []

    def another_event(_call: int, name: str, when: str) -> None:
        if name == "runs.commit" and when == "after" and not marked:
            marked.append(sim.platform.adapters.locks.mark(sim.run(RUN), frozenset({keys.POKE})))

    sim.faults.strike = another_event
    context = sim.world.context("x")
    context.until = sim.clock.now + 20_000
    sim.world.functions[ORCHESTRATOR](wake(sim, keys.accepted_key(RUN)), context)

    lock = sim.adapters.locks.get(RUN)
    assert lock is not None
    assert lock.owner is None
    assert keys.POKE in lock.pending
    assert sim.finish(RUN).status is JobStatus.SUCCEEDED


def test_a_failed_renewal_ends_all_further_action() -> None:
    sim = FaultySim()

    def stolen(_call: int, name: str, when: str) -> None:
        if name == "watchdogs.start" and when == "after" and sim.faults.armed:
            sim.faults.armed = False
            sim.clock.sleep(LEASE_MS / 1000 + 1)
            now = sim.clock.now_ms()
            sim.adapters.locks.take(RUN, "thief", now, now + LEASE_MS)

    sim.faults.strike = stolen
    sim.submit(a_job("a"), run_id=RUN)

    with pytest.raises(LeaseLost):
        sim.world.functions[ORCHESTRATOR](wake(sim, keys.accepted_key(RUN)), sim.world.context("x"))

    assert sim.run(RUN).rev == 0


# -- at once --------------------------------------------------------------------------------------

BRANCHES = [
    *chain("a", "b"),
    {"order_name": "c"},
    {"order_name": "d", "dependencies": ["b", "c"]},
]


def test_an_event_that_meets_nobody_writes_no_lock_of_its_own() -> None:
    sim = FaultySim()

    run, _ = sim.run_to_end(a_job(*chain("a", "b", "c")), run_id=RUN)

    assert run.status is JobStatus.SUCCEEDED
    calls = Counter(sim.faults.calls)
    assert calls["locks.mark"] == 1  # makes the lock
    assert (calls["locks.take"], calls["locks.release"]) == (2, 0)  # of `accepted` alone


@pytest.mark.parametrize("nth", range(1, 5))
@pytest.mark.parametrize("what", ["marks", "takes and goes round", "takes and stalls"])
def test_whoever_comes_between_an_events_look_and_its_write_makes_it_wait(
    what: str, nth: int
) -> None:
    """The write is refused as a whole, and the event goes the long way: mark, try, wait."""
    sim = FaultySim()
    looks, trespasses = [0], []

    def meanwhile(_call: int, name: str, when: str) -> None:
        if name == "runs.commit" and when == "after":
            lock = sim.adapters.locks.get(RUN)
            if lock is not None and lock.owner == "another" and lock.held(sim.clock.now):
                trespasses.append(sim.run(RUN).rev - held_at[0])
        if name != "runs.look" or when != "after":
            return
        looks[0] += 1
        if looks[0] != nth:
            return
        now = sim.clock.now_ms()
        if what == "marks":
            sim.adapters.locks.mark(sim.run(RUN), frozenset({keys.POKE}))
        elif what == "takes and goes round":
            poke = wake(sim, keys.poke_key(RUN))
            sim.world.functions[ORCHESTRATOR](poke, sim.world.context("other"))
        else:
            sim.adapters.locks.take(RUN, "another", now, now + LEASE_MS, marks=frozenset({"0001"}))
            held_at.append(sim.run(RUN).rev)

    held_at: list[int] = []
    sim.faults.strike = meanwhile
    sim.submit(a_job(*BRANCHES), run_id=RUN)
    run = sim.finish(RUN)

    assert looks[0] >= nth
    assert not any(trespasses)
    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == dict.fromkeys("abcd", 1)
    story = Counter((e.order_name, e.event) for e in sim.adapters.runs.events(run.trace_id))
    assert set(story.values()) == {1}
    lock = sim.adapters.locks.get(RUN)
    assert lock is not None
    assert (lock.completed, lock.pending) == (True, frozenset())


def test_a_mark_that_comes_before_the_last_write_keeps_the_lock_for_another_round() -> None:
    sim = FaultySim()
    came = []

    def another_event(_call: int, name: str, when: str) -> None:
        if name == "workers.start" and when == "after" and not came:
            came.append(sim.adapters.locks.mark(sim.run(RUN), frozenset({keys.CANCEL})))

    sim.faults.strike = another_event
    sim.submit(a_job(*chain("a", "b")), run_id=RUN)

    assert sim.finish(RUN).status is JobStatus.CANCELLED
    assert came


def test_an_event_whose_reading_fails_marks_the_lock_before_it_gives_up() -> None:
    sim = Sim({"a": "dies"})
    sim.submit(a_job("a"), run_id=RUN)
    sim.settle()

    def unreadable(*_: Any) -> None:
        raise Transient("S3 is down")

    sim.adapters.internal.get = unreadable  # type: ignore[method-assign]
    with pytest.raises(Transient):
        sim.world.functions[ORCHESTRATOR](
            wake(sim, keys.result_key(RUN, "0001")), sim.world.context("x")
        )

    lock = sim.adapters.locks.get(RUN)
    assert lock is not None
    assert (lock.owner, lock.pending) == (None, {"0001"})


# -- the end --------------------------------------------------------------------------------------


def test_an_orders_watchdog_ends_on_the_acknowledgement_never_on_the_result_alone() -> None:
    sim = Sim()
    sim.adapters.internal.put(keys.result_key(RUN, "0001"), b'{"status":"succeeded"}')
    check = sim.world.functions["watchdog_check"]
    now = sim.clock.now
    task = {"run_id": RUN, "num": "0001", "start_by": now, "end_by": now, "due_at": now}
    task |= {"poked_at": now}

    turn = check(task, None)

    assert turn["done"] is False
    assert sim.adapters.internal.get(keys.poke_key(RUN)) is not None

    sim.adapters.internal.put(keys.ack_key(RUN, "0001"), b"{}")

    assert check(task, None)["done"] is True


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_two_holders_that_finalize_write_one_done_and_it_agrees_with_the_rows(nth: int) -> None:
    sim = FaultySim(outcomes={"a": "failed"})
    puts = [0]

    def stall(_call: int, name: str, when: str) -> None:
        if name in {"runs.orders", "done.put_new", "locks.complete"} and when == "before":
            run = sim.run(RUN)
            if run.finished_at is not None:
                puts[0] += 1
                if puts[0] == nth:
                    sim.clock.sleep(LEASE_MS / 1000 + 1)
                    poke = wake(sim, keys.poke_key(RUN))
                    sim.world.functions[ORCHESTRATOR](poke, sim.world.context("thief"))

    sim.faults.strike = stall
    sim.submit(a_job("a"), run_id=RUN)
    run = sim.finish(RUN)

    done = sim.done(RUN)
    assert puts[0] >= nth
    assert done["status"] == run.status == "failed"
    assert done["orders"]["a"]["status"] == sim.rows(run)["a"].status == "failed"
    ends = [e for e in sim.adapters.runs.events(run.trace_id) if e.event == "finished"]
    assert len(ends) == 1


def test_an_event_after_the_rows_expired_is_dropped_and_makes_no_lock_and_no_done() -> None:
    sim = Sim()

    sim.world.functions[ORCHESTRATOR](
        wake(sim, keys.result_key("gone", "0001")), sim.world.context("x")
    )

    assert sim.adapters.locks.get("gone") is None
    assert sim.adapters.done.get(keys.done_key("gone")) is None


def test_an_event_of_a_finished_run_whose_lock_expired_finalizes_nothing() -> None:
    sim = Sim()
    sim.submit(a_job("a"), run_id=RUN)
    before = sim.finish(RUN)
    sim.adapters.locks._locks.clear()  # type: ignore[attr-defined]
    sim.adapters.internal._buckets._objects.clear()  # type: ignore[attr-defined]

    sim.world.functions[ORCHESTRATOR](wake(sim, keys.poke_key(RUN)), sim.world.context("x"))

    assert sim.run(RUN) == before
    assert sim.adapters.locks.get(RUN) is None
    assert sim.adapters.done.get(keys.done_key(RUN)) is None


def test_an_event_that_saw_no_lock_leaves_finished_json_to_who_ends_the_run() -> None:
    """Between its two looks another event makes the lock, ends the run, and dies before done."""
    sim = FaultySim(lost=frozenset({ORCHESTRATOR}))
    sim.submit(a_job("a"), run_id=RUN)
    ran = []

    def another_ends_the_run(_call: int, name: str, when: str) -> BaseException | None:
        if name == "runs.run" and when == "before" and not ran:
            ran.append(True)
            sim.platform.adapters.internal.put(keys.cancel_key(RUN), b"{}")
            cancel = wake(sim, keys.cancel_key(RUN))
            sim.world.functions[ORCHESTRATOR](cancel, sim.world.context("another"))
        if name == "done.put_new" and len(ran) == 1:
            ran.append(True)
            return ProcessDied(name)
        return None

    sim.faults.strike = another_ends_the_run
    sim.world.functions[ORCHESTRATOR](wake(sim, keys.accepted_key(RUN)), sim.world.context("x"))

    assert len(ran) == 2
    assert sim.done(RUN)["status"] == sim.finish(RUN).status == JobStatus.CANCELLED


def test_a_cancel_whose_event_is_lost_is_found_by_the_runs_watchdog() -> None:
    sim = Sim({"a": "dies"})
    sim.submit(a_job({"order_name": "a", "timeout": 500}, *chain("b", "c")), run_id=RUN)
    sim.settle()
    sim.adapters.internal.put(keys.cancel_key(RUN), b"{}")
    sim.world._queue.clear()

    for _ in range(7):
        sim.clock.sleep(60)
        sim.settle()

    assert sim.run(RUN).closing is JobStatus.CANCELLED


def test_a_watchdog_whose_acknowledgement_was_lost_ends_with_its_run() -> None:
    sim = FaultySim(outcomes={"a": "dies"}, lost=frozenset({ORCHESTRATOR}))
    real = sim.adapters.internal.put

    def lose_acks(key: str, body: bytes) -> None:
        if not key.endswith("/ack.json"):
            real(key, body)

    sim.adapters.internal.put = lose_acks  # type: ignore[method-assign]
    run, _ = sim.run_to_end(a_job("a", "b"), run_id=RUN)
    assert run.finished_at is not None

    sim.let_watchdogs_end()

    assert sim.clock.now <= run.finished_at + 2 * 60_000


def test_an_acknowledgement_that_is_missing_in_s3_is_made_good_by_the_watchdogs_poke() -> None:
    sim = Sim({"b": "dies"})
    job = a_job("a", {"order_name": "b", "timeout": 500, "dependencies": ["a"]})
    sim.submit(job, run_id=RUN)
    sim.settle()
    objects = sim.adapters.internal._buckets._objects  # type: ignore[attr-defined]
    bucket = sim.stack.buckets["internal"].name
    del objects[bucket, keys.ack_key(RUN, "0001")]

    for _ in range(2):
        sim.clock.sleep(60)
        sim.settle()

    assert sim.adapters.internal.get(keys.ack_key(RUN, "0001")) is not None


def test_an_event_on_a_completed_lock_puts_finished_json_again() -> None:
    sim = FaultySim(die_on("locks.complete", "after"), lost=frozenset({ORCHESTRATOR}))
    sim.submit(a_job("a"), run_id=RUN)
    sim.settle()
    lock = sim.adapters.locks.get(RUN)
    assert lock is not None
    assert lock.completed
    assert sim.adapters.internal.get(keys.finished_key(RUN)) is None

    sim.world.functions[ORCHESTRATOR](wake(sim, keys.poke_key(RUN)), sim.world.context("x"))

    assert sim.adapters.internal.get(keys.finished_key(RUN)) is not None


@pytest.mark.parametrize(
    "name", ["runs.commit", "workers.start", "locks.take", "runs.orders", "runs.look"]
)
def test_an_event_whose_three_attempts_all_die_does_not_strand_the_run(name: str) -> None:
    sim = FaultySim(die_on(name, "before", times=3))
    sim.faults.armed = False
    sim.submit(a_job(*chain("a", "b", "c")), run_id=RUN)
    sim.faults.armed = True

    run = sim.finish(RUN)

    assert len(sim.faults.struck) == 3
    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"a": 1, "b": 1, "c": 1}
