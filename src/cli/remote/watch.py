"""`iac-ci status` and `iac-ci wait`: where a run stands, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from src.cli import console, record, summary
from src.cli.exit_codes import INTERRUPTED, NOT_SUCCEEDED, OK
from src.cli.remote import show
from src.cli.remote.options import Stack
from src.cli.say import complain, say
from src.common.clock import SystemClock
from src.common.status import JobStatus, OrderStatus
from src.remote import look
from src.remote.follow import Follower
from src.remote.state import RunState

WENT_WRONG: Final = (OrderStatus.FAILED, OrderStatus.TIMED_OUT)


def show_status(run_id: str, stack: Stack, *, as_json: bool) -> int:
    """Show where a run stands; 0 whatever it came to."""
    state = look.state(stack.connect(), run_id)
    _show(state, as_json=as_json)
    return OK


def wait_for(
    run_id: str, stack: Stack, *, as_json: bool, names: Mapping[str, str] | None = None
) -> int:
    """Show a run until it ends; return the exit code that tells how it ended.

    `names` are its orders by number, where they are known.
    """
    state, code = watched(run_id, stack, as_json=as_json, names=names)
    if state is not None:
        wrong = [order.name for order in state.orders if order.status in WENT_WRONG]
        if wrong:
            complain(f"`iac-ci logs {run_id} {wrong[0]}` shows what it printed")
    return code


def watched(
    run_id: str, stack: Stack, *, as_json: bool, names: Mapping[str, str] | None = None
) -> tuple[RunState | None, int]:
    """Show a run until it ends; return its end (None: interrupted before) and the exit code."""
    records = stack.connect()
    state = look.state(records, run_id)
    clock = SystemClock()
    if not state.ended or names is not None:  # who has just submitted it has seen nothing yet
        target = console.err() if as_json else console.out()
        view = _view(live=console.can_redraw(target))
        try:
            with view(target, cancelling=lambda: False, began=state.created_at) as shown:
                state = Follower(records, run_id, shown, clock, names=names).until_end()
        except KeyboardInterrupt:
            complain(f"interrupted; the run goes on: `iac-ci cancel {run_id}` ends it")
            return None, INTERRUPTED
    _show(state, as_json=as_json)
    return state, OK if state.status is JobStatus.SUCCEEDED else NOT_SUCCEEDED


def _show(state: RunState, *, as_json: bool) -> None:
    if as_json:
        say(record.dumps(show.run(state)))
        return
    summary.show_state(state, console.out(), SystemClock().now_ms())
    if state.source == "events":
        complain("told by its events alone: its rows have expired")


def _view(*, live: bool) -> Callable[..., Any]:
    if live:
        from src.cli.live import LiveView

        return LiveView
    from src.cli.plain import PlainView

    return PlainView
