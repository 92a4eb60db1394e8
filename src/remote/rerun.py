"""Starting a run again: with the same job, on the same commits, without what succeeded. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.common.errors import JobRefused, Problem
from src.common.job import orders_of
from src.common.keys import done_key
from src.common.status import OrderStatus
from src.remote.state import RunState


def check(state: RunState) -> None:
    """Refuse to repeat what has not ended, or what is not known well enough.

    Raises:
        JobRefused: with the reason.
    """
    if not state.ended:
        raise _refused(f"run {state.run_id} has not ended; wait for it, or cancel it first")
    if state.source != "rows" or state.digest is None:
        raise _refused(f"the rows of run {state.run_id} have expired; submit its job again")


def carried(job: Mapping[str, Any], state: RunState) -> list[str]:
    """Return the orders that need not run again: those that succeeded, all they depend on as well.

    Raises:
        JobRefused: that is all of them.
    """
    needs = {name: order.get("dependencies") or () for name, order in orders_of(job).items()}
    succeeded = {order.name for order in state.orders if order.status is OrderStatus.SUCCEEDED}
    kept = succeeded & needs.keys()
    while fallen := {name for name in kept if not kept.issuperset(needs[name])}:
        kept -= fallen
    if kept == needs.keys():
        raise _refused(f"every order of run {state.run_id} succeeded: nothing is to be run again")
    return [name for name in needs if name in kept]


def done_endpt(state: RunState) -> str | None:
    """Return where the run's end was told, if that was said in its request."""
    given = state.done_endpt or ""
    is_default = given.startswith("s3://") and given.endswith("/" + done_key(state.run_id))
    return None if is_default or not given else given


def expired(state: RunState) -> JobRefused:
    """Return the refusal for a run whose request is gone."""
    what = f"the request of run {state.run_id} has expired (it is kept for a day)"
    return _refused(f"{what}; submit its job again")


def _refused(message: str) -> JobRefused:
    return JobRefused([Problem("RUN", message)])
