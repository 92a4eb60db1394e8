"""What the orchestrator decides: two values and one equality."""

from dataclasses import replace

import pytest

from src.common.messages import Result
from src.common.records import Change, Order
from src.common.status import JobStatus, OrderStatus
from src.orchestrator.actions import (
    Acknowledge,
    Commit,
    End,
    HandOver,
    Load,
    LookUp,
    ReadNames,
    StartRunWatchdog,
    Stop,
    View,
)
from src.orchestrator.decide import decide
from src.orchestrator.draft import MAX_ROWS
from src.orchestrator.step import MAX_CLAIMS
from tests.support.build import NOW, a_run, a_view, an_order

pytestmark = pytest.mark.unit

S = OrderStatus


def the_change(view: View) -> Change:
    (action,) = decide(view)
    assert isinstance(action, Commit)
    return action.change


def changed(change: Change) -> dict[str, Order]:
    return {order.num: order for order in change.orders}


def test_a_run_nobody_watches_gets_its_watchdog_before_anything_else() -> None:
    view = a_view(a_run(seen_at=None, packaged_at=None), marks=["accepted"])

    assert decide(view) == (StartRunWatchdog(view.run),)


def test_the_run_is_marked_seen_only_after_its_watchdog_was_started() -> None:
    run = a_run(seen_at=None, packaged_at=None)

    change = the_change(a_view(run, marks=["accepted"], watched=True))

    assert change.run.seen_at == NOW
    assert [event.event for event in change.events] == ["accepted"]


def test_an_order_mark_reads_its_row_then_its_result() -> None:
    assert decide(a_view(marks=["0002"])) == (Load(frozenset({"0002"})),)

    running = an_order(2, status="running")

    assert decide(a_view(orders=[running], marks=["0002"])) == (LookUp(frozenset({"0002"})),)


def test_nothing_is_claimed_before_packaging_ended() -> None:
    run = a_run(packaged_at=None, ready="2")

    assert decide(a_view(run, marks=["accepted"])) == ()


def test_packaging_that_ended_well_lets_the_ready_orders_be_claimed_in_the_same_step() -> None:
    run = a_run(packaged_at=None, ready="6")  # orders 1 and 2
    packaged = {"0000": Result(status=S.SUCCEEDED)}
    view = a_view(run, marks=["0000"], results=packaged)

    assert decide(view) == (Load(frozenset({"0001", "0002"})),)

    view = a_view(run, [an_order(1), an_order(2)], marks=["0000"], results=packaged)
    change = the_change(view)

    assert change.run.packaged_at == NOW
    assert change.run.ready == "0"
    assert change.run.dispatching == ("0001", "0002")
    assert change.run.counts == {"queued": 1, "dispatching": 2}
    assert {order.status for order in change.orders} == {S.DISPATCHING}
    assert [event.event for event in change.events] == ["packaged", "claimed", "claimed"]


def test_a_claim_fixes_token_start_window_and_latest_end() -> None:
    run = a_run(total=1, ready="2")

    (order,) = the_change(a_view(run, [an_order(1)])).orders

    assert order.token is not None
    assert order.dispatched_at == NOW
    assert order.start_by == NOW + 600_000
    assert order.end_by == NOW + 660_000
    assert order.rev == 1


def test_no_clock_of_an_order_outlasts_the_job() -> None:
    run = a_run(total=1, ready="2", end_by=NOW + 30_000)

    (order,) = the_change(a_view(run, [an_order(1)])).orders

    assert order.start_by == order.end_by == NOW + 30_000


def test_max_parallel_bounds_what_is_active() -> None:
    run = a_run(total=5, ready="1e", max_parallel=3, counts={"queued": 4, "running": 1})

    change = the_change(a_view(run, [an_order(n) for n in (1, 2, 3, 4)]))

    assert change.run.dispatching == ("0001", "0002")
    assert change.run.ready == "18"
    assert change.run.active == 3


def test_a_step_claims_a_bounded_number() -> None:
    run = a_run(total=60, ready=f"{(1 << 61) - 2:x}")

    change = the_change(a_view(run, [an_order(n) for n in range(1, 61)]))

    assert len(change.orders) == MAX_CLAIMS


def test_claimed_orders_are_handed_over_and_then_confirmed() -> None:
    order = an_order(1, status="dispatching")
    run = a_run(total=1, dispatching=("0001",), counts={"dispatching": 1})

    assert decide(a_view(run, [order])) == (HandOver(order),)

    change = the_change(a_view(run, [order], handed=frozenset({"0001"})))

    assert changed(change)["0001"].status is S.RUNNING
    assert change.run.dispatching == ()


def test_every_round_repeats_what_is_still_dispatching() -> None:
    run = a_run(dispatching=("0003",), counts={"queued": 2, "dispatching": 1})

    assert decide(a_view(run, marks=["poke-of-no-order"])) == (Load(frozenset({"0003"})),)


def test_a_throttled_order_stays_dispatching_and_nothing_more_is_claimed() -> None:
    order = an_order(1, status="dispatching")
    run = a_run(total=2, dispatching=("0001",), ready="4", counts={"queued": 1, "dispatching": 1})
    view = a_view(run, [order, an_order(2)], deferred=frozenset({"0001"}))

    assert decide(view) == ()


def test_an_order_the_platform_refuses_is_ended_from_outside_with_the_reason() -> None:
    order = an_order(1, status="dispatching")
    run = a_run(total=1, dispatching=("0001",), counts={"dispatching": 1})

    (action,) = decide(a_view(run, [order], refused={"0001": "no such function"}))

    assert isinstance(action, End)
    assert not action.force  # a worker that claimed it all the same reports by itself
    assert (action.claim.status, action.claim.reason) == (S.FAILED, "no such function")


def test_a_result_that_overtakes_the_confirmation_ends_the_order() -> None:
    order = an_order(1, status="dispatching")
    run = a_run(total=2, dispatching=("0001",), counts={"queued": 1, "dispatching": 1})
    results = {"0001": Result(status=S.SUCCEEDED, exit_code=0)}

    change = the_change(a_view(run, [order], marks=["0001"], results=results))

    assert changed(change)["0001"].status is S.SUCCEEDED
    assert change.run.dispatching == ()


def test_order_waits_until_all_its_dependencies_let_it_go() -> None:
    run = a_run(counts={"queued": 1, "running": 2})
    rows = [
        an_order(1, status="running", dependents=("0003",)),
        an_order(2, status="running", dependents=("0003",)),
        an_order(3, open=2),
    ]
    results = {"0001": Result(status=S.SUCCEEDED)}

    change = the_change(a_view(run, rows, marks=["0001"], results=results))

    assert changed(change)["0003"].open == 1
    assert changed(change)["0003"].status is S.QUEUED
    assert change.run.ready == "0"


def test_the_last_dependency_lets_the_order_be_claimed_in_the_same_step() -> None:
    run = a_run(counts={"queued": 1, "running": 1, "succeeded": 1})
    rows = [an_order(2, status="running", dependents=("0003",)), an_order(3, open=1)]
    results = {"0002": Result(status=S.SUCCEEDED)}

    change = the_change(a_view(run, rows, marks=["0002"], results=results))

    assert changed(change)["0003"].status is S.DISPATCHING
    assert change.run.untold == ()


def test_a_reason_is_in_words() -> None:
    run = a_run(counts={"queued": 1, "running": 1})
    rows = [an_order(1, status="running", dependents=("0002",)), an_order(2, open=1)]
    results = {"0001": Result(status=S.TIMED_OUT)}

    change = the_change(a_view(run, rows, marks=["0001"], results=results))

    assert changed(change)["0002"].reason == "dependency order-1 timed out"


def test_a_failed_dependency_skips_everything_below_it() -> None:
    run = a_run(counts={"queued": 2, "running": 1})
    rows = [
        an_order(1, status="running", dependents=("0002",)),
        an_order(2, open=1, dependents=("0003",)),
        an_order(3, open=1),
    ]
    results = {"0001": Result(status=S.FAILED, exit_code=3)}

    change = the_change(a_view(run, rows, marks=["0001"], results=results))

    assert changed(change)["0001"].exit_code == 3
    assert changed(change)["0002"].reason == "dependency order-1 failed"
    assert changed(change)["0003"].reason == "dependency order-2 skipped"
    assert change.run.status is JobStatus.FAILED
    assert change.run.finished_at == NOW
    assert change.run.unmet == 3


def test_an_order_that_need_not_succeed_stops_nobody_and_fails_no_job() -> None:
    run = a_run(total=2, counts={"queued": 1, "running": 1})
    rows = [
        an_order(1, status="running", must_succeed=False, dependents=("0002",)),
        an_order(2, open=1),
    ]
    results = {"0001": Result(status=S.TIMED_OUT)}

    change = the_change(a_view(run, rows, marks=["0001"], results=results))

    assert changed(change)["0002"].status is S.DISPATCHING
    assert change.run.unmet == 0


def test_dependents_beyond_one_step_are_told_in_the_next_exactly_once() -> None:
    fan = 150
    nums = tuple(f"{n:04d}" for n in range(2, fan + 2))
    run = a_run(total=fan + 1, max_parallel=1, counts={"queued": fan, "running": 1})
    root = an_order(1, status="running", dependents=nums)
    rows = [root] + [an_order(n, open=2) for n in range(2, fan + 2)]
    view = a_view(run, rows, marks=["0001"], results={"0001": Result(status=S.SUCCEEDED)})

    steps = 0
    while (actions := decide(view)) and isinstance(actions[0], Commit):
        change = actions[0].change
        assert len(change.orders) <= MAX_ROWS
        view = view.having(run=change.run, orders={**view.orders, **changed(change)})
        steps += 1

    assert steps == -(-(fan + 1) // MAX_ROWS)
    assert {view.orders[num].open for num in nums} == {1}
    assert view.run.untold == ()


def test_a_cancel_tells_all_that_is_active_to_stop_before_anything_else() -> None:
    run = a_run(total=3, ready="4", counts={"queued": 1, "running": 1, "dispatching": 1})
    rows = [an_order(1, status="running"), an_order(2), an_order(3, status="dispatching")]
    view = a_view(run, rows, marks=["cancel"])

    assert decide(view) == (Stop(frozenset({"0001", "0003"})),)

    told = view.having(stopping=frozenset({"0001", "0003"}))

    assert decide(told) == (LookUp(frozenset({"0001", "0003"})),)


def test_what_is_active_in_a_run_that_closed_is_not_told_to_stop_again_and_again() -> None:
    run = a_run(total=1, closing="cancelled", counts={"running": 1})

    assert not any(
        isinstance(action, Stop)
        for action in decide(a_view(run, [an_order(1, status="running")], marks=["cancel"]))
    )


def test_a_cancelled_run_ends_what_is_queued_then_takes_the_claims_of_what_is_active() -> None:
    run = a_run(total=2, ready="4", counts={"queued": 1, "running": 1})
    rows = [an_order(1, status="running"), an_order(2)]
    told = frozenset({"0001"})
    view = a_view(run, rows, marks=["cancel"], results={"0001": None}, stopping=told)

    change = the_change(view)

    assert change.run.closing is JobStatus.CANCELLED
    assert changed(change)["0002"].status is S.CANCELLED

    (action,) = decide(view.having(run=change.run, orders={**view.orders, **changed(change)}))

    assert isinstance(action, End)
    assert not action.force  # a worker that claimed it reports by itself


def test_the_jobs_deadline_skips_what_is_queued_and_times_out_what_is_active() -> None:
    run = a_run(total=2, end_by=NOW, counts={"queued": 1, "running": 1})
    rows = [an_order(1, status="running"), an_order(2)]
    view = a_view(run, rows, marks=["poke"], results={"0001": None, "cancel": None})

    change = the_change(view)

    assert change.run.closing is JobStatus.TIMED_OUT
    assert changed(change)["0002"].status is S.SKIPPED
    assert changed(change)["0002"].reason == "the job's deadline passed"

    (action,) = decide(view.having(run=change.run, orders={**view.orders, **changed(change)}))

    assert isinstance(action, End)
    assert action.force
    assert action.claim.status is S.TIMED_OUT


def test_packaging_that_failed_skips_every_order_also_those_without_a_row() -> None:
    run = a_run(packaged_at=None)
    refused = {"0000": Result(status=S.FAILED, reason="git_ref: no such branch")}
    view = a_view(run, marks=["0000"], results=refused)

    assert decide(view) == (Load(frozenset({"0001", "0002", "0003"})),)

    every = frozenset({"0001", "0002", "0003"})
    view = a_view(run, [an_order(1)], marks=["0000"], results=refused, looked=every)

    assert decide(view) == (ReadNames(run.digest),)

    change = the_change(view.having(names={"0002": "two"}))

    assert [(o.num, o.name, o.status, o.rev) for o in change.orders] == [
        ("0001", an_order(1).name, S.SKIPPED, 1),
        ("0002", "two", S.SKIPPED, 0),  # absent: put as ended, before a late packager does
        ("0003", "0003", S.SKIPPED, 0),
    ]
    assert {order.reason for order in change.orders} == {change.run.reason}
    assert change.run.counts == {"skipped": 3}
    assert change.run.status is JobStatus.FAILED
    assert change.run.reason == "packaging failed: git_ref: no such branch"


def test_a_poke_reads_the_results_of_all_that_has_not_ended() -> None:
    run = a_run(counts={"running": 1, "dispatching": 1, "succeeded": 1}, dispatching=("0002",))
    rows = [
        an_order(1, status="running"),
        an_order(2, status="dispatching"),
        an_order(3, status="succeeded"),
    ]

    assert decide(a_view(run, rows, marks=["poke"])) == (
        LookUp(frozenset({"0001", "0002", "cancel"})),
    )


def test_a_poke_finds_a_cancel_whose_event_was_lost() -> None:
    run = a_run(total=1, counts={"queued": 1})
    there = {"cancel": Result(status=S.FAILED, reason="unreadable")}

    change = the_change(a_view(run, [an_order(1)], marks=["poke"], results=there))

    assert change.run.status is JobStatus.CANCELLED


def test_many_results_are_read_in_slices() -> None:
    run = a_run(total=120, counts={"running": 120})
    rows = [an_order(n, status="running") for n in range(1, 121)]

    actions = decide(a_view(run, rows, marks=["poke"]))

    assert [len(action.nums) for action in actions if isinstance(action, LookUp)] == [50, 50, 21]


def test_where_one_target_is_throttled_the_other_goes_on() -> None:
    run = a_run(total=3, dispatching=("0001",), ready="c", counts={"queued": 2, "dispatching": 1})
    rows = [
        an_order(1, status="dispatching", use_lambda=False),
        an_order(2, use_lambda=False),
        an_order(3),
    ]

    change = the_change(a_view(run, rows, deferred=frozenset({"0001"})))

    assert list(changed(change)) == ["0003"]


def test_an_ended_order_is_acknowledged_once_its_end_is_written() -> None:
    ended = an_order(1, status="succeeded", dispatched_at=NOW)
    run = a_run(total=1, counts={"succeeded": 1}, finished_at=NOW, status="succeeded")
    results = {"0001": Result(status=S.SUCCEEDED)}
    view = a_view(run, [ended], marks=["0001"], results=results)

    assert decide(view) == (Acknowledge(ended),)
    assert decide(view.having(acknowledged=frozenset({"0001"}))) == ()


def test_a_late_result_changes_no_terminal_row_and_becomes_part_of_the_story() -> None:
    ended = an_order(1, status="timed_out", dispatched_at=NOW)
    run = a_run(total=2, counts={"timed_out": 1, "queued": 1})
    late = Result(status=S.SUCCEEDED)

    assert decide(a_view(run, [ended], marks=["0001"], results={"0001": late})) == (
        Acknowledge(ended, late),
    )


@pytest.mark.parametrize("closing", ["cancelled", "timed_out", "failed"])
def test_nothing_starts_in_a_run_that_closed(closing: str) -> None:
    run = a_run(closing=closing, ready="e", reason="why")
    rows = [an_order(n) for n in (1, 2, 3)]

    change = the_change(a_view(run, rows, marks=["0000"]))

    assert S.DISPATCHING not in {order.status for order in change.orders}
    assert change.run.status == closing


def test_the_same_view_gives_the_same_step() -> None:
    run = a_run(total=1, ready="2")
    view = a_view(run, [an_order(1)])

    assert decide(view) == decide(replace(view))
