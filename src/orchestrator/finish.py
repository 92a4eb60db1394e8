"""What follows from a finished run item: the done object and the last comment (rule 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.common import keys
from src.common.codec import encode
from src.common.records import Order, Run
from src.orchestrator.perform import Ports


def finalize(ports: Ports, run: Run, orders: Mapping[str, Order]) -> None:
    """Write what follows from the finished run item; each step may be repeated (rule 8).

    `orders` are all its rows. The lock and `finished.json` come after, in that order, and are the
    caller's.
    """
    summary = done_summary(run, orders)
    ports.done.put_new(keys.done_key(run.run_id), encode(summary))
    ports.comments.closed(run, summary)


def done_summary(run: Run, orders: Mapping[str, Order]) -> dict[str, Any]:
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
        "orders": {orders[num].name: _order_summary(orders[num]) for num in sorted(orders)},
    }


def _order_summary(order: Order) -> dict[str, Any]:
    return {
        "num": order.num,
        "status": order.status,
        "exit_code": order.exit_code,
        "started_at": order.started_at,
        "finished_at": order.finished_at,
        "reason": order.reason,
    }
