"""A run in flight as a value: what a release before this one may have left in tables and buckets.

    python -m tests.support.in_flight >tests/fixtures/in_flight_vN.json

writes that of this version. Such a file never changes once a release has written its version.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any, Final

from src.common import records
from src.common.messages import WatchdogInput
from src.common.plain import VERSION, Record
from src.local.stack import WATCHDOG_CHECK, WORKER
from src.local.world import Delivery
from tests.support.sim import Sim, a_job, chain

RUN: Final = "in-flight"
# The orders and events of a run, and how it was accepted; locks are made anew by the next event.
KINDS: Final = (
    records.Run,
    records.Packaging,
    records.Order,
    records.Idempotency,
    records.Event,
)


def snapshot() -> dict[str, Any]:
    """Return a run of three orders whose second one is handed over and not yet claimed."""
    sim = Sim()
    dispatches: list[dict[str, Any]] = []

    def work(delivery: Delivery) -> None:
        if delivery.event["name"] == "plan":
            sim.worker(delivery)
        else:
            dispatches.append(dict(delivery.event))

    sim.world.on_work = work
    watched: dict[str, dict[str, Any]] = {}
    check = sim.world.functions[WATCHDOG_CHECK]

    def noted(event: Any, context: Any) -> Any:
        watched.setdefault(context.aws_request_id, dict(event))
        return check(event, context)

    sim.world.functions[WATCHDOG_CHECK] = noted
    sim.submit(a_job(*chain("plan", "apply", "check")), run_id=RUN, trace_id="0123456789abcdef")
    sim.settle()
    objects: dict[str, bytes] = sim.adapters.internal.everything()  # type: ignore[attr-defined]
    return {
        "version": VERSION,
        "now": sim.clock.now,
        "rows": [
            {"kind": type(row).__name__, "item": row.to_item()}
            for row in sim.platform.runs.everything()
        ],
        "objects": {key: base64.b64encode(body).decode() for key, body in objects.items()},
        "dispatches": dispatches,
        "watchdogs": watched,
    }


def revived(state: dict[str, Any]) -> Sim:
    """Return a platform of this release that holds what a snapshot says, its deliveries pending."""
    sim = Sim()
    sim.clock.now = state["now"]
    kinds = {kind.__name__: kind for kind in KINDS}
    rows = [kinds[row["kind"]].from_item(row["item"]) for row in state["rows"]]
    restore(sim, rows)
    for key, body in state["objects"].items():
        sim.adapters.internal.put(key, base64.b64decode(body))
    for name, event in state["watchdogs"].items():
        sim.world.start_watchdog(name, WatchdogInput.from_item(event))
    for event in state["dispatches"]:
        sim.world.invoke(WORKER, event)
    return sim


def restore(sim: Sim, rows: list[Record]) -> None:
    """Put rows through the ports."""
    store = sim.adapters.runs
    by_kind: dict[type, list[Any]] = {kind: [] for kind in KINDS}
    for row in rows:
        by_kind[type(row)].append(row)
    (run,), (request,) = by_kind[records.Run], by_kind[records.Idempotency]
    store.accept(run, request, sim.clock.now)
    store.add_packaging(*by_kind[records.Packaging])
    store.add_orders(by_kind[records.Order])
    for event in by_kind[records.Event]:
        store.record(event)


if __name__ == "__main__":
    json.dump(snapshot(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
