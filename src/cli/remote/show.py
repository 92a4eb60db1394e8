"""What programs are told of runs on a deployed stack: plain values for JSON."""

from __future__ import annotations

from typing import Any

from src.remote.state import OrderState, RunState


def run(state: RunState) -> dict[str, Any]:
    """Return the object of `status --json` and `wait --json`: as that of `run`, without logs."""
    told: dict[str, Any] = {
        "run_id": state.run_id,
        "trace_id": state.trace_id,
        "flow_id": state.flow_id,
        "status": str(state.status),
        "created_at": state.created_at,
        "finished_at": state.finished_at,
        "counts": dict(state.counts),
        "orders": {order.name: _order(order) for order in state.orders},
        "source": state.source,
    }
    if state.closing is not None and not state.ended:
        told["closing"] = str(state.closing)
    if state.reason:
        told["reason"] = state.reason
    if state.rerun_of:
        told["rerun_of"] = state.rerun_of
    return told


def _order(order: OrderState) -> dict[str, Any]:
    told: dict[str, Any] = {
        "status": str(order.status),
        "exit_code": order.exit_code,
        "started_at": order.started_at,
        "finished_at": order.finished_at,
    }
    if order.reason:
        told["reason"] = order.reason
    return told
