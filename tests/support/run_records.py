"""Records of runs as `run.json` and `events.jsonl` hold them, made without running anything."""

from __future__ import annotations

from typing import Any, Final

START: Final = 1_764_063_749_000
SECOND: Final = 1000


def an_order(number: int, **given: Any) -> dict[str, Any]:
    """Return an order that succeeded: dispatched one second after the one before, ran two."""
    at = START + number * SECOND
    fields: dict[str, Any] = {
        "num": f"{number:04d}",
        "status": "succeeded",
        "exit_code": 0,
        "log": f"$ make part-{number}\nmade part-{number}\n",
        "log_truncated": False,
        "dispatched_at": at,
        "start_by": at + 600 * SECOND,
        "started_at": at + SECOND // 2,
        "end_by": at + 630 * SECOND,
        "finished_at": at + 2 * SECOND,
        "dependencies": [],
        "cmds": [f"make part-{number}"],
        "must_succeed": True,
        "use_lambda": True,
        "timeout": 30,
    }
    return fields | given


def never_started(number: int, **given: Any) -> dict[str, Any]:
    """Return an order that was skipped."""
    times = dict.fromkeys(("dispatched_at", "start_by", "started_at", "end_by", "finished_at"))
    asked = {"status": "skipped", "exit_code": None, "log": "", "reason": "dependency plan failed"}
    return an_order(number, **(times | asked | given))


def a_run(orders: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Return the object of a run with these orders (name -> order)."""
    fields = {
        "run_id": "run-1",
        "trace_id": "0123456789abcdef",
        "flow_id": "me:0123456789abcdef-exec",
        "status": "succeeded",
        "started_at": START,
        "finished_at": START + (len(orders) + 3) * SECOND,
        "end_by": START + 3600 * SECOND,
        "orders": orders,
    }
    return fields | given


def of_size(number: int) -> dict[str, Any]:
    """Return a run of orders `order-1` and on: most wait for an earlier one, every 20th failed."""
    return a_run(
        {
            f"order-{n}": an_order(
                n,
                dependencies=[f"order-{n - 1 - n % 7}"] if n > 7 else [],
                **({"status": "failed", "exit_code": 3} if n % 20 == 2 else {}),
            )
            for n in range(1, number + 1)
        },
        status="failed",
    )


def an_event(order_name: str, after_s: int, event: str, **given: Any) -> dict[str, Any]:
    """Return an event so many seconds after the start."""
    epoch = START + after_s * SECOND
    return {"order_name": order_name, "epoch": epoch, "event": event, "status": "running", **given}
