"""What follows from a finished run item: the done object and the last comment (rule 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.common import keys
from src.common.codec import encode
from src.common.records import Order, Run
from src.common.status import TERMINAL, JobStatus, OrderStatus
from src.orchestrator.perform import Ports


def finalize(ports: Ports, run: Run, names: Mapping[str, str], orders: Mapping[str, Order]) -> None:
    """Write what follows from the finished run item; each step may be repeated (rule 8).

    `names` maps order numbers to names as the request gave them, `orders` are the rows that exist.
    The lock and `finished.json` come after, in that order, and are the caller's.
    """
    summary = done_summary(run, names, orders)
    ports.done.put_new(keys.done_key(run.run_id), encode(summary))
    ports.comments.closed(run, summary)


def done_summary(run: Run, names: Mapping[str, str], orders: Mapping[str, Order]) -> dict[str, Any]:
    """Return the done object: ids, `status`, `reason`, times, `counts`, `orders` by name."""
    return {
        "run_id": run.run_id,
        "trace_id": run.trace_id,
        "flow_id": run.flow_id,
        "status": run.status,
        "reason": run.reason,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "counts": dict(run.counts),
        "orders": {name: _order_summary(run, num, orders.get(num)) for num, name in names.items()},
    }


def _order_summary(run: Run, num: str, order: Order | None) -> dict[str, Any]:
    if order is None or order.status not in TERMINAL:  # not packaged when the run closed
        cancelled = run.closing is JobStatus.CANCELLED
        status = OrderStatus.CANCELLED if cancelled else OrderStatus.SKIPPED
        return {"num": num, "status": status, "reason": "never packaged"}
    return {
        "num": num,
        "status": order.status,
        "exit_code": order.exit_code,
        "started_at": order.started_at,
        "finished_at": order.finished_at,
        "reason": order.reason,
    }
