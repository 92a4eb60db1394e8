"""Several orchestrators at once, in threads that really run side by side, every event doubled."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any, cast

import pytest

from src.common import keys
from src.common.clock import SystemClock
from src.common.ports import ObjectStore
from src.common.status import JobStatus
from src.local.moto_platform import moto_platform
from src.local.moto_world import MotoWorld
from src.local.platform import Platform, embedded
from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, WORKER, Stack
from src.local.world import Delivery, World
from src.orchestrator import lease
from src.process_webhook import handler
from src.process_webhook.app import ProcessWebhook
from tests.support.sim import ScriptedWorker, Sim, a_job

pytestmark = pytest.mark.integration

THREADS = 4
BOUND_S = 60.0

DIAMONDS = [
    order
    for n in range(4)
    for order in (
        {"order_name": f"{n}-top"},
        {"order_name": f"{n}-left", "dependencies": [f"{n}-top"]},
        {"order_name": f"{n}-right", "dependencies": [f"{n}-top"], "use_lambda": False},
        {"order_name": f"{n}-bottom", "dependencies": [f"{n}-left", f"{n}-right"]},
    )
]


class Crowd:
    """Threads that deliver what a world queues, orchestrator events twice."""

    def __init__(self, world: World, worker: ScriptedWorker) -> None:
        self._world, self._worker = world, worker
        self._queue: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._work) for _ in range(THREADS)]
        self._turn = threading.Lock()

    def put(self, delivery: Delivery) -> None:
        self._queue.put(delivery)
        if delivery.function == ORCHESTRATOR:
            self._queue.put(delivery)

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(BOUND_S)

    def _work(self) -> None:
        while (delivery := self._queue.get()) is not None:
            try:
                if delivery.function == WORKER:
                    self._worker(delivery)
                else:
                    context = self._world.context(delivery.request_id)
                    self._world.functions[delivery.function](delivery.event, context)
            except Exception as error:  # noqa: BLE001 - the platform's part: deliver it again
                self.errors.append(error)
                self._queue.put(delivery)


def run_in_a_crowd(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> tuple[Sim, Any]:
    monkeypatch.setattr(lease, "POLL_S", 0.01)
    sim = Sim(platform=platform, clock=SystemClock())  # type: ignore[arg-type]
    crowd = Crowd(sim.world, sim.worker)
    monkeypatch.setattr(sim.world, "_queue", _Diverted(crowd))
    answer = sim.submit(a_job(*DIAMONDS))
    finished = keys.finished_key(answer["body"]["run_id"])
    until = time.monotonic() + BOUND_S
    with crowd:
        while sim.adapters.internal.get(finished) is None and time.monotonic() < until:
            sim.world.step()
            time.sleep(0.005)
    assert time.monotonic() < until, crowd.errors
    return sim, sim.run(answer["body"]["run_id"])


class _Diverted:
    """Stands for a world's queue: what is appended goes to the crowd, so it is always empty."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def append(self, delivery: Delivery) -> None:
        self._crowd.put(delivery)

    def __bool__(self) -> bool:
        return False


def assert_all_ran_once(sim: Sim, run: Any) -> None:
    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.started == {str(order["order_name"]): 1 for order in DIAMONDS}
    story = Counter((e.order_name, e.event) for e in sim.adapters.runs.events(run.trace_id))
    assert set(story.values()) == {1}
    lock = sim.adapters.locks.get(run.run_id)
    assert lock is not None
    assert (lock.completed, lock.owner) == (True, None)


@pytest.mark.parametrize("attempt", range(5))
def test_orchestrators_side_by_side_start_everything_once_in_memory(
    attempt: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    del attempt
    sim, run = run_in_a_crowd(embedded(Stack(), {}, SystemClock()), monkeypatch)

    assert_all_ran_once(sim, run)


def test_orchestrators_side_by_side_start_everything_once_on_moto(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with MotoWorld() as moto:
        sim, run = run_in_a_crowd(moto_platform(moto), monkeypatch)

        assert_all_ran_once(sim, run)


def test_bundles_that_are_made_side_by_side_fit_into_memory_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of large code there is one bundle at a time, of small code there are as many as threads."""
    sim = Sim()
    webhook = cast("ProcessWebhook", sim.world.functions[PROCESS_WEBHOOK])
    under_way, most = 0, 0
    changed = threading.Condition()

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(sim.adapters.internal, name)

        def put_new(self, key: str, body: bytes) -> bool:
            nonlocal under_way, most
            if not key.endswith("exec.zip"):
                return sim.adapters.internal.put_new(key, body)
            with changed:
                under_way += 1
                most = max(most, under_way)
                changed.notify_all()
                changed.wait_for(lambda: under_way > 1, timeout=0.1)  # for who must not come
                under_way -= 1
            return sim.adapters.internal.put_new(key, body)

    watched = cast("ObjectStore", Watched())
    package = replace(webhook.package, internal=watched, each=handler.at_once)
    sim.world.functions[PROCESS_WEBHOOK] = replace(webhook, package=package)
    orders = [{"order_name": name, "inline": {"main.tf": name}} for name in "abcd"]

    sim.run_to_end(a_job(*orders))
    assert most > 1

    most = 0
    monkeypatch.setattr(
        "src.process_webhook.package.PACKED_CODE", 200
    )  # a zip of one file and more
    sim.run_to_end(a_job(*orders))
    assert most == 1
