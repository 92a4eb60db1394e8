"""`iac-ci logs`: what orders printed, so far or while they run."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import Any

from src.cli import console, record, style
from src.cli.exit_codes import INTERRUPTED, OK
from src.cli.plain import PlainView
from src.cli.remote.options import Stack
from src.cli.say import complain, say
from src.cli.text import clean
from src.common.clock import SystemClock
from src.common.errors import JobRefused, Problem
from src.common.status import OrderStatus
from src.remote import look
from src.remote.aws import AwsStack
from src.remote.follow import Follower
from src.remote.logs import OrderLog, Tail, log_of
from src.remote.state import OrderState, RunState


def show_logs(run_id: str, order: str | None, stack: Stack, *, follow: bool, as_json: bool) -> int:
    """Show the logs of a run, or of one order (by name or number); return the exit code."""
    aws = stack.connect()
    state = look.state(aws, run_id)
    only = None if order is None else _order(state, order)
    if follow and not state.ended and (only is None or not only.ended):
        return _follow(aws, state, only)
    logs = [log_of(aws, state, each) for each in ([only] if only is not None else state.orders)]
    if as_json:
        orders = {log.order.name: _told(log) for log in logs}
        say(record.dumps({"run_id": run_id, "orders": orders}))
    elif only is not None:
        _show(logs[0])
    else:
        for log in logs:
            say(f"== {log.order.name}: {style.word(log.order.status)}{_why(log.order)}")
            _show(log, among_others=True)
    if not state.orders:
        complain("no order is packaged yet")
    return OK


def _order(state: RunState, wanted: str) -> OrderState:
    found = state.find(wanted)
    if found is None:
        names = ", ".join(order.name for order in state.orders) or "none is packaged yet"
        message = f"run {state.run_id} has no order {wanted!r} (its orders: {names})"
        raise JobRefused([Problem("ORDER", message)])
    return found


def _follow(aws: AwsStack, state: RunState, only: OrderState | None) -> int:
    """Print lines as they come until the end: of one order alone, or of all with who and when."""
    num = "" if only is None else only.num
    view = _view(state) if only is None else contextlib.nullcontext(_OneOrder())
    try:
        with view as shown:
            tail = Tail(aws, state.run_id, shown.line, only=num)
            Follower(
                *(aws, state.run_id, shown, SystemClock()),
                on_poll=tail.look,
                enough=lambda now: bool(num) and any(o.ended for o in now.orders if o.num == num),
            ).until_end()
    except KeyboardInterrupt:
        complain(f"interrupted; the run goes on: `iac-ci cancel {state.run_id}` ends it")
        return INTERRUPTED
    return OK


def _view(state: RunState) -> PlainView:
    return PlainView(console.out(), cancelling=lambda: False, began=state.created_at)


class _OneOrder:
    """Prints the lines of one order as they are."""

    def accepted(self, run_id: str, orders: Mapping[str, str]) -> None:
        """Nothing to show."""

    def order_changed(
        self, num: str, status: OrderStatus, at_ms: int, reason: str | None = None
    ) -> None:
        """Nothing to show."""

    def tick(self) -> None:
        """Nothing to draw."""

    def line(self, _num: str, text: str, _at_ms: int) -> None:
        """Print a line."""
        say(clean(text) if sys.stdout.isatty() else text)


def _show(log: OrderLog, *, among_others: bool = False) -> None:
    text = log.text.removesuffix("\n")
    if sys.stdout.isatty():  # what orders print must not command the terminal
        text = "\n".join(clean(line) for line in text.split("\n"))
    if text:
        say(text)
    if log.truncated:
        complain(f"{log.order.name}: the middle of the log was left out")
    if log.note and not (among_others and log.note == log.order.reason):  # in its heading
        complain(f"{log.order.name}: {clean(log.note)}")


def _why(order: OrderState) -> str:
    if order.exit_code:
        return f" (exit {order.exit_code})"
    return f" ({clean(order.reason)})" if order.reason else ""


def _told(log: OrderLog) -> dict[str, Any]:
    told: dict[str, Any] = {
        "status": str(log.order.status),
        "log": log.text,
        "log_truncated": log.truncated,
        "source": log.source,
    }
    if log.note:
        told["note"] = log.note
    return told
