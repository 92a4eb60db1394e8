"""`iac-ci events` and `iac-ci runs`: what happened in a run, and which runs there were."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from src.cli import console, record, style
from src.cli.console import is_ascii
from src.cli.exit_codes import OK
from src.cli.remote.options import Stack
from src.cli.say import complain, say
from src.cli.text import clean, duration
from src.common import keys
from src.common.clock import SystemClock
from src.common.records import Event
from src.remote import look
from src.remote.errors import UnknownRun
from src.remote.story import RunLine, latest

OF_RUN: Final = "(run)"  # where an order's name would stand
PIPE_COLUMNS: Final = 200


def show_events(run_id: str, stack: Stack, *, as_json: bool) -> int:
    """Show what happened in a run, oldest first."""
    events = look.story(stack.connect(), look.checked(run_id))
    if not events:
        raise UnknownRun(f"run {run_id} is not known to this stack")
    if as_json:
        items = [event.to_item() for event in events]
        say(record.dumps({"run_id": run_id, "trace_id": events[0].trace_id, "events": items}))
        return OK
    out = _roomy()
    out.print(_events_table(events))
    return OK


def show_runs(stack: Stack, *, limit: int, as_json: bool) -> int:
    """Show the runs that did something last."""
    found = latest(stack.connect().job_events(), limit)
    if as_json:
        say(record.dumps({"runs": [_told(line) for line in found]}))
    elif found:
        out = _roomy()
        out.print(_runs_table(found, SystemClock().now_ms(), ascii_only=is_ascii(out)))
    else:
        complain("no run in the last 90 days")
    return OK


def _roomy() -> Console:
    """Return stdout, without folding what goes to a pipe or file."""
    out = console.out()
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = PIPE_COLUMNS
    return out


def _events_table(events: Sequence[Event]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("time (UTC)", no_wrap=True)
    table.add_column("after", justify="right", no_wrap=True)
    table.add_column("order", overflow="fold")
    table.add_column("event", no_wrap=True)
    table.add_column("message", overflow="fold")
    began = events[0].epoch
    day = None
    for event in events:
        at = datetime.fromtimestamp(event.epoch / 1000, UTC)
        shown = f"{at:%H:%M:%S}.{event.epoch % 1000:03d}"
        if at.date() != day:
            day = at.date()
            shown = f"{day} {shown}"
        of_run = event.order_name == keys.JOB
        what = style.word(event.event)
        if event.status not in (event.event, "running"):
            what += f" ({style.word(event.status)})" if of_run else ""
        table.add_row(
            shown,
            duration(event.epoch - began),
            Text(OF_RUN if of_run else event.order_name, "dim" if of_run else ""),
            Text(what, style.COLOUR.get(event.event, "")),
            Text(clean(event.message or "")),
        )
    return table


def _runs_table(lines: Sequence[RunLine], now: int, *, ascii_only: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("run", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("started (UTC)", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("about", overflow="fold")
    for line in lines:
        began = line.started_at
        until = line.finished_at or now
        ending = " (ending)" if line.closing and line.finished_at is None else ""
        table.add_row(
            line.run_id,
            Text(
                f"{style.sign(line.status, ascii_only=ascii_only)} {style.word(line.status)}",
                style.COLOUR[line.status],
            ),
            "" if began is None else f"{datetime.fromtimestamp(began / 1000, UTC):%m-%d %H:%M:%S}",
            "" if began is None else duration(until - began),
            Text(clean(line.about) + ending),
        )
    return table


def _told(line: RunLine) -> dict[str, Any]:
    told: dict[str, Any] = {
        "run_id": line.run_id,
        "trace_id": line.trace_id,
        "status": str(line.status),
        "created_at": line.started_at,
        "finished_at": line.finished_at,
        "about": line.about,
    }
    if line.closing is not None and line.finished_at is None:
        told["closing"] = str(line.closing)
    return told
