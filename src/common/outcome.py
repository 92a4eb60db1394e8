"""What became of a finished run, as its done object says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from src.common import keys
from src.common.codec import decode
from src.common.ports import ObjectStore, RunStore
from src.common.records import Order, Run
from src.common.status import TERMINAL, JobStatus, OrderStatus


def gather(
    runs: RunStore, internal: ObjectStore, run: Run
) -> tuple[dict[str, str], dict[str, Order]]:
    """Return order number -> name as the request gave it, and the rows that exist."""
    nums = [keys.order_num(position) for position in range(1, run.total + 1)]
    orders = runs.orders(run.run_id, nums)
    names = {num: order.name for num, order in orders.items()}
    if len(names) < run.total:  # packaging never wrote them all
        request = internal.get(keys.request_key(run.digest))
        asked = order_names(decode(request)) if request is not None else {}
        names = {num: names.get(num) or asked.get(num, num) for num in nums}
    return names, orders


def order_names(request: Mapping[str, Any]) -> dict[str, str]:
    """Return order number -> name of a stored request."""
    orders = request.get("orders", ())
    names = (
        list(orders) if isinstance(orders, Mapping) else [order["order_name"] for order in orders]
    )
    return {keys.order_num(position): name for position, name in enumerate(names, 1)}


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
        "orders": {name: _ending(run, num, orders.get(num)) for num, name in names.items()},
    }


def _ending(run: Run, num: str, order: Order | None) -> dict[str, Any]:
    if order is None and run.carries(num):
        why = f"was to be carried over from run {run.rerun_of}"
        return {"num": num, "status": OrderStatus.SUCCEEDED, "reason": why}
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
