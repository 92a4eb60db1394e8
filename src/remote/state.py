"""What is known of a run from outside, whichever place still tells of it.

Rows live until a day after the run's deadline, the done object for a day or two, events for 90
days: the same shape is made of each, with less in it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

from src.common.keys import JOB, order_num
from src.common.records import Event
from src.common.status import ACTIVE, TERMINAL, JobStatus, OrderStatus

Source = Literal["rows", "done", "events"]

# All that is read of a run's item and rows: never `identity` or `token`, which open bundles.
RUN_FIELDS: Final = (
    "run_id",
    "trace_id",
    "flow_id",
    "username",
    "digest",
    "created_at",
    "end_by",
    "total",
    "done_endpt",
    "rerun_of",
    "status",
    "counts",
    "closing",
    "reason",
    "seen_at",
    "packaged_at",
    "finished_at",
    "rev",
)
ORDER_FIELDS: Final = (
    "num",
    "name",
    "status",
    "use_lambda",
    "dispatched_at",
    "started_at",
    "finished_at",
    "exit_code",
    "reason",
)
_STARTED: Final = ("handed_over", "claimed")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """One order; times are epoch milliseconds."""

    num: str
    name: str
    status: OrderStatus
    use_lambda: bool = True
    exit_code: int | None = None
    reason: str | None = None
    dispatched_at: int | None = None
    started_at: int | None = None
    finished_at: int | None = None

    @property
    def ended(self) -> bool:
        """Whether its status is final."""
        return self.status in TERMINAL

    def at(self, now: int) -> Self:
        """Return the order with the times to show at `now`: what runs has run until now."""
        if self.status not in ACTIVE:
            return self
        began = self.started_at or self.dispatched_at
        return replace(self, started_at=began, finished_at=None if began is None else now)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """One run; `orders` are those of which something is known, in the order of the job."""

    run_id: str
    trace_id: str
    status: JobStatus
    source: Source
    flow_id: str = ""
    reason: str | None = None
    created_at: int
    finished_at: int | None = None
    total: int
    counts: Mapping[str, int]
    closing: JobStatus | None = None
    orders: tuple[OrderState, ...] = ()
    packaged: bool = True
    rev: int = 0
    digest: str | None = None  # of the request
    done_endpt: str | None = None
    rerun_of: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.status is not JobStatus.RUNNING

    @property
    def started_at(self) -> int:
        """When it was accepted."""
        return self.created_at

    def at(self, now: int) -> Self:
        """Return the run with the times to show at `now`: what runs has run until now."""
        if self.ended:
            return self
        return replace(self, finished_at=now, orders=tuple(order.at(now) for order in self.orders))

    def find(self, order: str) -> OrderState | None:
        """Return an order by name or number."""
        by_name = [found for found in self.orders if found.name == order]
        by_num = [found for found in self.orders if found.num == order]
        return next(iter(by_name + by_num), None)


def from_rows(run: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> RunState:
    """Return the state that the run's item and rows (by number) tell."""
    finished_at = run.get("finished_at")
    closing = run.get("closing")
    return RunState(
        run_id=run["run_id"],
        trace_id=run["trace_id"],
        flow_id=run["flow_id"],
        # The item's own status is set in the write that ends the run.
        status=JobStatus(run["status"]) if finished_at is not None else JobStatus.RUNNING,
        source="rows",
        reason=run.get("reason"),
        created_at=run["created_at"],
        finished_at=finished_at,
        total=run["total"],
        counts=run.get("counts", {}),
        closing=None if closing is None else JobStatus(closing),
        orders=tuple(_order(rows[num]) for num in sorted(rows)),
        packaged=run.get("packaged_at") is not None,
        rev=run.get("rev", 0),
        digest=run.get("digest"),
        done_endpt=run.get("done_endpt"),
        rerun_of=run.get("rerun_of"),
    )


def from_done(done: Mapping[str, Any]) -> RunState:
    """Return the state that a done object tells."""
    orders = [_order({**order, "name": name}) for name, order in done["orders"].items()]
    return RunState(
        run_id=done["run_id"],
        trace_id=done["trace_id"],
        flow_id=done.get("flow_id", ""),
        status=JobStatus(done["status"]),
        source="done",
        reason=done.get("reason"),
        created_at=done["created_at"],
        finished_at=done.get("finished_at"),
        total=len(orders),
        counts=done.get("counts", {}),
        orders=tuple(orders),
    )


def from_events(run_id: str, events: Iterable[Event]) -> RunState | None:
    """Return the state that a run's story (oldest event first) tells; None if it tells nothing."""
    orders: dict[str, OrderState] = {}
    job: list[Event] = []
    for event in events:
        if event.run_id != run_id:
            continue
        if event.order_name == JOB:
            job.append(event)
        elif event.event != "late_result":
            orders[event.order_name] = _told(orders.get(event.order_name), event, len(orders) + 1)
    if not job and not orders:
        return None
    ended = next((event for event in job if event.event == "finished"), None)
    counts: dict[str, int] = {}
    for order in orders.values():
        counts[order.status] = counts.get(order.status, 0) + 1
    first = job[0] if job else None
    return RunState(
        run_id=run_id,
        trace_id=first.trace_id if first else "",
        status=JobStatus(ended.status) if ended else JobStatus.RUNNING,
        source="events",
        reason=ended.message if ended else None,
        created_at=first.epoch if first else 0,
        finished_at=ended.epoch if ended else None,
        total=len(orders),
        counts=counts,
        orders=tuple(orders.values()),
    )


def _told(before: OrderState | None, event: Event, position: int) -> OrderState:
    order = before or OrderState(
        num=order_num(position), name=event.order_name, status=OrderStatus.QUEUED
    )
    status = OrderStatus(event.status)
    started = event.epoch if event.event in _STARTED and order.started_at is None else None
    return replace(
        order,
        status=status,
        started_at=started or order.started_at,
        finished_at=event.epoch if status in TERMINAL else None,
        reason=event.message,
    )


def _order(row: Mapping[str, Any]) -> OrderState:
    known = {name: row[name] for name in ORDER_FIELDS if row.get(name) is not None}
    return OrderState(**{**known, "status": OrderStatus(row["status"])})
