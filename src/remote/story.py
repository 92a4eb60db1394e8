"""The latest runs of a stack, by the events of whole runs (`_job`) alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from src.common.records import Event
from src.common.status import JobStatus

FIRST: Final = "accepted"
LAST: Final = "finished"
CLOSING: Final = "closing"


@dataclass(slots=True, kw_only=True)
class RunLine:
    """One run as its events tell it; times are epoch milliseconds."""

    run_id: str
    trace_id: str
    status: JobStatus = JobStatus.RUNNING
    closing: JobStatus | None = None
    started_at: int | None = None
    finished_at: int | None = None
    about: str = ""  # "3 orders for alice"
    seen_at: int = field(default=0)  # its latest event

    def take(self, event: Event) -> None:
        """Take in one of its events."""
        self.seen_at = max(self.seen_at, event.epoch)
        if event.event == FIRST:
            self.started_at, self.about = event.epoch, event.message or ""
        elif event.event == LAST:
            self.finished_at, self.status = event.epoch, JobStatus(event.status)
        elif event.event == CLOSING:
            self.closing = JobStatus(event.status)


def latest(events: Iterable[Event], limit: int) -> list[RunLine]:
    """Return the runs that did something last, those first that were accepted last.

    `events` come newest first and are read only as far as it takes.
    """
    found: dict[str, RunLine] = {}
    waiting: set[str] = set()  # their first event is yet to come
    for event in events:
        line = found.get(event.run_id)
        if line is None:
            if len(found) == limit:
                if not waiting:
                    break
                continue
            line = found[event.run_id] = RunLine(run_id=event.run_id, trace_id=event.trace_id)
            waiting.add(event.run_id)
        line.take(event)
        if event.event == FIRST:
            waiting.discard(event.run_id)
    return sorted(found.values(), key=lambda line: line.started_at or line.seen_at, reverse=True)
