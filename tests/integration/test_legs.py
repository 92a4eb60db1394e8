"""Every hop of a run says in its log which leg of the trace it is."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, WATCHDOG_CHECK
from src.local.world import s3_event
from tests.integration.conftest import MakeSim
from tests.support.handler_logs import handler_logs, lines
from tests.support.sim import Sim, a_job, chain
from tests.support.worker import Bucket, run

pytestmark = pytest.mark.integration

TRACE = "0123456789abcdef"


def legs_of_calls(sim: Sim, written: StringIO) -> list[tuple[str, int, set[str | None]]]:
    """Note of each call of a handler who it was, when, and the legs that its lines name."""
    calls: list[tuple[str, int, set[str | None]]] = []

    def noted(name: str, handler: Any) -> Any:
        def call(event: Mapping[str, Any], context: Any) -> Any:
            at, known = sim.clock.now_ms(), len(lines(written))
            try:
                return handler(event, context)
            finally:
                legs = {line.get("trace_leg") for line in lines(written)[known:]}
                calls.append((name, at, legs))

        return call

    for name, handler in list(sim.world.functions.items()):
        sim.world.functions[name] = noted(name, handler)
    return calls


def test_every_hop_of_a_run_logs_its_leg(make_sim: MakeSim, run_id: str) -> None:
    with handler_logs() as written:
        sim = make_sim({"b": "dies"})
        calls = legs_of_calls(sim, written)
        sim.run_to_end(a_job(*chain("a", "b")), run_id=run_id, trace_id=TRACE)
        sim.world.functions[ORCHESTRATOR](
            s3_event("b", f"tmp/callbacks/runs/{run_id}/0001/result.json"),
            sim.world.context("late"),
        )
        sim.let_watchdogs_end()

    assert {name for name, _, _ in calls} == {PROCESS_WEBHOOK, ORCHESTRATOR, WATCHDOG_CHECK}
    wrong = [call for call in calls if call[2] != {f"{TRACE}:{call[1] // 1000}"}]
    assert wrong == []
    watched = {line["order_num"] for line in lines(written) if "order_num" in line}
    assert watched == {"0000", "0001", "0002"}


def test_a_worker_logs_its_leg(tmp_path: Path) -> None:
    bucket = Bucket()
    dispatch = bucket.order("true")

    with handler_logs("worker") as written:
        run(bucket, dispatch, folder=tmp_path)

    (line,) = lines(written)
    assert (line["run_id"], line["order_num"]) == (dispatch.run_id, dispatch.num)
    assert line["trace_leg"].startswith(f"{dispatch.trace_id}:")
