"""Values for tests: a run, an order, a view, each with sensible fields that a test overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from src.common.messages import Result
from src.common.records import Order, Run
from src.orchestrator.actions import View

NOW = 1_800_000_000_000  # epoch ms
RUN_ID = "run-1"


def a_run(**fields: Any) -> Run:
    """Return a run of three orders that was seen and packaged."""
    total = fields.get("total", 3)
    values: dict[str, Any] = {
        "run_id": RUN_ID,
        "trace_id": "abcdef0123456789",
        "flow_id": "alice:abcdef0123456789-exec",
        "username": "alice",
        "digest": "d" * 64,
        "created_at": NOW,
        "package_by": NOW + 1_200_000,
        "end_by": NOW + 3_600_000,
        "ttl": NOW // 1000 + 90_000,
        "total": total,
        "done_endpt": f"s3://done/{RUN_ID}/done",
        "pr_search_tag": "tag",
        "counts": {"queued": total},
        "seen_at": NOW,
        "packaged_at": NOW,
        "rev": 7,
        "rev_by": "somebody:7",
    }
    return Run(**{**values, **fields})


def an_order(position: int, **fields: Any) -> Order:
    """Return the row of a queued order without dependencies."""
    num = f"{position:04d}"
    values: dict[str, Any] = {
        "run_id": RUN_ID,
        "num": num,
        "name": f"order-{position}",
        "timeout": 60,
        "start_window": 600,
        "url_lifetime": 960,
        "ttl": NOW // 1000 + 90_000,
        "identity": "AGE-SECRET-KEY-TEST",
    }
    if fields.get("status") in {"dispatching", "running"}:
        values |= {
            "token": "t" * 32,
            "dispatched_at": NOW - 1000,
            "start_by": NOW + 599_000,
            "end_by": NOW + 659_000,
        }
    return Order(**{**values, **fields})


def a_view(
    run: Run | None = None,
    orders: Iterable[Order] = (),
    *,
    marks: Iterable[str] = (),
    results: Mapping[str, Result | None] | None = None,
    **fields: Any,
) -> View:
    """Return a view in which the given rows were read."""
    rows = {order.num: order for order in orders}
    values: dict[str, Any] = {
        "run": run or a_run(),
        "marks": frozenset(marks),
        "owner": "me",
        "now": NOW,
        "orders": rows,
        "looked": frozenset(rows),
        "results": dict(results or {}),
    }
    return View(**{**values, **fields})
