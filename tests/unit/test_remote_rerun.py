"""What a rerun carries over, and which runs cannot be run again."""

from __future__ import annotations

from typing import Any

import pytest

from src.common.errors import JobRefused
from src.common.status import JobStatus, OrderStatus
from src.remote.rerun import carried, check, done_endpt
from src.remote.state import OrderState, RunState
from tests.support.sim import a_job, chain

pytestmark = pytest.mark.unit

S = OrderStatus


def a_state(statuses: dict[str, OrderStatus] | None = None, **more: Any) -> RunState:
    orders = (statuses or {}).items()
    given = {
        "run_id": "run-1",
        "trace_id": "t",
        "status": JobStatus.FAILED,
        "source": "rows",
        "created_at": 0,
        "total": len(orders),
        "counts": {},
        "digest": "d",
        "orders": tuple(
            OrderState(num=f"{at:04d}", name=name, status=status)
            for at, (name, status) in enumerate(orders, 1)
        ),
    }
    return RunState(**{**given, **more})


def test_what_succeeded_is_carried_in_the_order_of_the_job() -> None:
    state = a_state({"a": S.SUCCEEDED, "b": S.FAILED, "c": S.SKIPPED, "free": S.SUCCEEDED})

    assert carried(a_job(*chain("a", "b", "c"), "free"), state) == ["a", "free"]


def test_what_stands_on_an_order_that_runs_again_runs_again() -> None:
    job = a_job(*chain("may-fail", "then", "last"), "other")
    state = a_state(
        {"may-fail": S.FAILED, "then": S.SUCCEEDED, "last": S.SUCCEEDED, "other": S.SUCCEEDED}
    )

    assert carried(job, state) == ["other"]


def test_a_job_whose_orders_are_a_map_is_read_alike() -> None:
    job = {"orders": {"a": {}, "b": {"dependencies": ["a"]}, "c": {"dependencies": None}}}

    assert carried(job, a_state({"a": S.SUCCEEDED, "b": S.TIMED_OUT, "c": S.CANCELLED})) == ["a"]


def test_a_run_of_which_everything_succeeded_has_nothing_to_run_again() -> None:
    with pytest.raises(JobRefused, match="nothing is to be run again"):
        carried(a_job("a"), a_state({"a": S.SUCCEEDED}))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"status": JobStatus.RUNNING}, "has not ended"),
        ({"source": "done"}, "have expired"),
        ({"source": "events", "digest": None}, "have expired"),
    ],
)
def test_what_cannot_be_run_again_says_why(more: dict[str, Any], why: str) -> None:
    with pytest.raises(JobRefused, match=why):
        check(a_state(**more))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("s3://iac-ci-done-95100/run-1/done", None),
        (None, None),
        ("https://example.org/done", "https://example.org/done"),
        ("s3://elsewhere/done", "s3://elsewhere/done"),
    ],
)
def test_only_an_end_that_was_asked_for_is_asked_for_again(
    given: str | None, kept: str | None
) -> None:
    assert done_endpt(a_state(done_endpt=given)) == kept
