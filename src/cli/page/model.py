"""What a page of a run shows, as plain values: all that adapters must gather, and no more.

Times are epoch milliseconds, None where unknown: a record of an older version, or of a run that
goes on, says less, and the page shows what there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from src.common.status import JobStatus, OrderStatus

_YEAR_9999: Final = 253_402_300_799_999


def _known(value: Any) -> Any:
    """Take a time that no calendar has for unknown: workers tell times, strangers beside them."""
    return None if type(value) is int and not 0 <= value <= _YEAR_9999 else value


Moment = Annotated[int | None, BeforeValidator(_known)]
Millis = Annotated[int, Field(ge=0, le=_YEAR_9999)]
Seconds = Annotated[int, Field(ge=0, le=_YEAR_9999 // 1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """An order: what was asked, and how it went."""

    name: str
    status: OrderStatus
    num: str = ""
    dependencies: tuple[str, ...] = ()
    cmds: tuple[str, ...] = ()
    must_succeed: bool = True
    use_lambda: bool | None = None
    timeout: Seconds | None = None
    dispatched_at: Moment = None
    start_by: Moment = None  # no worker may claim after this
    started_at: Moment = None
    end_by: Moment = None  # no command may run after this, whenever it was claimed
    finished_at: Moment = None
    exit_code: int | None = None
    reason: str | None = None
    log: str = ""
    log_truncated: bool = False

    @property
    def deadline(self) -> int | None:
        """When its commands must have ended: its timeout after the start, at most `end_by`."""
        if self.started_at is None or self.timeout is None:
            return self.end_by
        own = self.started_at + self.timeout * 1000
        return own if self.end_by is None else min(own, self.end_by)

    def elapsed(self, as_of: int) -> int | None:
        """Return for how many milliseconds it ran, up to `as_of` where it still does."""
        if self.started_at is None:
            return None
        return max((self.finished_at or as_of) - self.started_at, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One line of the run's story; `order_name` is `_job` for the run itself."""

    order_name: str
    epoch: Millis
    event: str
    status: str
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One thing that was wrong with the job."""

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run with its orders in the order of the job. Names are unique, dependencies acyclic."""

    run_id: str
    status: JobStatus
    orders: tuple[OrderRecord, ...]
    trace_id: str = ""
    flow_id: str = ""
    reason: str | None = None
    details: tuple[Detail, ...] = ()
    events: tuple[EventRecord, ...] | None = None  # None: not recorded
    started_at: Moment = None
    finished_at: Moment = None
    end_by: Moment = None
    as_of: Moment = None  # when a run that goes on was looked at

    @property
    def span(self) -> tuple[int, int] | None:
        """First and last moment of the run, None where no time is known at all."""
        known = [at for at in self._times() if at is not None]
        return (min(known), max(known)) if known else None

    def _times(self) -> Iterator[int | None]:
        yield from (self.started_at, self.finished_at, self.as_of)
        for order in self.orders:
            yield from (order.dispatched_at, order.started_at, order.finished_at)
