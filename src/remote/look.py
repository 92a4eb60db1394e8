"""Finding what still tells of a run: rows first, then the done object, then events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from src.common import keys
from src.common.errors import JobRefused, Problem
from src.common.records import Event
from src.common.story import in_story
from src.remote.errors import UnknownRun
from src.remote.state import RunState, from_done, from_events, from_rows


class Records(Protocol):
    """What commands read of a stack; each method is one kind of call.

    All of them raise `Denied`, `NotNamed`, `Transient` or `Permanent`.
    """

    def run(self, run_id: str) -> Mapping[str, Any] | None:
        """Return `RUN_FIELDS` of the run's item."""

    def orders(self, run_id: str, nums: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return `ORDER_FIELDS` of the rows that exist, by number."""

    def done(self, run_id: str) -> Mapping[str, Any] | None:
        """Return the done object."""

    def trace(self, run_id: str) -> str | None:
        """Return the trace id that a request with this run id is remembered with."""

    def events(self, trace_id: str) -> Sequence[Event]:
        """Return the events of a trace, oldest first."""

    def job_events(self) -> Iterator[Event]:
        """Yield the events of whole runs (`_job`), newest first."""


def checked(run_id: str, given_as: str = "RUN") -> str:
    """Return a run id; `given_as` is the argument that messages name.

    Raises:
        JobRefused: it cannot be one.
    """
    if keys.RUN_ID.fullmatch(run_id):
        return run_id
    message = f"must be 1 to 64 of the characters A-Z a-z 0-9 -, got {run_id!r}"
    raise JobRefused([Problem(given_as, message)])


def outline(records: Records, run_id: str) -> RunState:
    """Return what is known of a run as a whole, without its orders if it has rows.

    Raises:
        UnknownRun: nothing is.
    """
    run = records.run(checked(run_id))
    return expired(records, run_id) if run is None else from_rows(run, {})


def state(records: Records, run_id: str) -> RunState:
    """Return what is known of a run.

    Raises:
        UnknownRun: nothing is.
    """
    run = records.run(checked(run_id))
    if run is not None:
        return from_rows(run, records.orders(run_id, numbers(run["total"])))
    return expired(records, run_id)


def expired(records: Records, run_id: str) -> RunState:
    """Return what is known of a run that has no rows (any more)."""
    done = records.done(run_id)
    if done is not None:
        return from_done(done)
    found = from_events(run_id, story(records, run_id))
    if found is None:
        raise UnknownRun(f"run {run_id} is not known to this stack")
    return found


def story(records: Records, run_id: str) -> list[Event]:
    """Return the events of a run, oldest first, empty when there are none.

    Several runs may share a trace. A run that was submitted without a run id of its own is not
    remembered by it, so without rows the stack's events are searched.
    """
    run = records.run(run_id)
    trace_id = run["trace_id"] if run is not None else records.trace(run_id)
    if trace_id is None:
        found = next((event for event in records.job_events() if event.run_id == run_id), None)
        trace_id = None if found is None else found.trace_id
    if trace_id is None:
        return []
    mine = [event for event in records.events(trace_id) if event.run_id == run_id]
    return sorted(mine, key=in_story)


def numbers(total: int) -> list[str]:
    """Return the numbers of a run's orders."""
    return [keys.order_num(position) for position in range(1, total + 1)]
