"""Runs a job on this machine through the production handlers, from the request to the report.

One loop in one thread: deliver what is due, serve the worker processes, tell the watcher. Which
adapters the handlers stand on is `platform`'s business, how it looks is the watcher's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Protocol

from src.common import keys
from src.common.clock import SystemClock
from src.common.errors import IacCiError, JobRefused, Permanent, Problem
from src.common.ports import CodeStore
from src.common.records import Change
from src.common.status import OrderStatus
from src.common.validation_rules import MAX_ORDERS
from src.local.folder_buckets import FolderBuckets
from src.local.platform import Platform, embedded
from src.local.report import RunReport, report
from src.local.stack import PROCESS_WEBHOOK, Stack
from src.local.worker_pool import WorkerPool
from src.local.world import Delivery

log = logging.getLogger(__name__)

TICK_S: Final = 0.05
BUSY_TICKS: Final = 20  # deliveries between two looks at the workers
CLOSE_GRACE_S: Final = 5.0
AT_ONCE_S: Final = 1.0  # for what heeds a signal; who interrupts twice does not wait for the rest

Aws = Literal["embedded", "moto"]


class Watcher(Protocol):
    """Whoever shows a run while it goes on; called from the one thread.

    `every_line`: all that orders print is shown. Else the latest lines are, so that no order has to
    wait for who looks on.
    """

    every_line: bool

    def accepted(self, run_id: str, orders: Mapping[str, str]) -> None:
        """The job was accepted; `orders` maps numbers to names."""

    def order_changed(
        self, num: str, status: OrderStatus, at_ms: int, reason: str | None = None
    ) -> None:
        """An order's row was written with another status; `reason` as in the row."""

    def line(self, num: str, text: str) -> None:
        """An order printed a line."""

    def tick(self) -> None:
        """Some time passed; called at least every tenth of a second unless the machine is busy."""


def run_job(
    raw_job: object,
    *,
    secrets: Mapping[str, str],
    env: Mapping[str, str],
    parallel: int,
    aws: Aws,
    watcher: Watcher,
    cancelled: Callable[[], bool],
    buckets: Mapping[str, Path] = MappingProxyType({}),
) -> RunReport:
    """Run a job and return what became of it.

    Args:
        raw_job: the job as read from its file.
        secrets: path (or name) -> value; stands for SSM and Secrets Manager.
        env: plain variables for every order, under the job's own.
        parallel: how many orders run at once, at most.
        aws: `embedded` (in memory) or `moto` (the boto3 adapters on moto, in this process).
        watcher: is told what happens.
        cancelled: polled; once true the run is cancelled.
        buckets: name -> the folder that stands for this bucket as a source of code.

    Raises:
        JobRefused: with every problem of the job.
        IacCiError: it could not be packaged, for no fault of the job.
        Permanent: the system has no room for so many worker processes, or no moto.
    """
    parallel = useful(parallel, raw_job)
    raw_job = _for_this_machine(raw_job, env, parallel)
    with _platform(aws, secrets, FolderBuckets(buckets)) as platform:
        return run_on(platform, raw_job, parallel=parallel, watcher=watcher, cancelled=cancelled)


def useful(parallel: int, raw_job: object) -> int:
    """Return how many worker processes can be of use: no more than a job has orders."""
    orders = raw_job.get("orders") if isinstance(raw_job, Mapping) else None
    count = len(orders) if isinstance(orders, Sized) else 0
    return max(1, min(parallel, count, MAX_ORDERS))


def _for_this_machine(raw_job: object, env: Mapping[str, str], parallel: int) -> object:
    """Put the environment under the job's own, and bound its parallelism by the worker processes.

    An order that waited for a free process would let its start window pass. What is no job is left
    to be refused as it is.
    """
    if not isinstance(raw_job, Mapping):
        return raw_job
    job = dict(raw_job)
    own = job.get("env") or {}
    if env and isinstance(own, Mapping):
        job["env"] = {**env, **own}
    most = job.get("max_parallel") or parallel
    if type(most) is int and most > 0:
        job["max_parallel"] = min(most, parallel)
    return job


def run_on(
    platform: Platform,
    raw_job: object,
    *,
    parallel: int,
    watcher: Watcher,
    cancelled: Callable[[], bool],
) -> RunReport:
    """Run a job on a platform that the caller keeps; see `run_job`."""
    with _pool(platform, parallel, watcher) as pool:
        return _Local(platform, pool, watcher, cancelled).run(raw_job)


@contextmanager
def _platform(aws: Aws, secrets: Mapping[str, str], code: CodeStore) -> Iterator[Platform]:
    stack = Stack()
    if aws == "embedded":
        yield embedded(stack, secrets, SystemClock(), code=code)
        return
    if find_spec("moto") is None:
        raise Permanent("--aws moto: moto comes with the development dependencies (make setup)")
    from src.local.moto_platform import on_moto

    with on_moto(stack, secrets, SystemClock(), code=code) as platform:
        yield platform


@contextmanager
def _pool(platform: Platform, parallel: int, watcher: Watcher) -> Iterator[WorkerPool]:
    adapters = platform.adapters
    pool = WorkerPool(
        parallel,
        get=adapters.internal.get,
        put_new=adapters.uploads.put_new,
        get_url=adapters.uploads.get,
        on_line=lambda _run_id, num, text: watcher.line(num, text),
        every_line=watcher.every_line,
    )
    grace_s = CLOSE_GRACE_S
    try:
        yield pool
    except KeyboardInterrupt:
        grace_s = AT_ONCE_S
        raise
    finally:
        pool.close(grace_s)


class _Local:
    """One run, from request to report."""

    def __init__(
        self,
        platform: Platform,
        pool: WorkerPool,
        watcher: Watcher,
        cancelled: Callable[[], bool],
    ) -> None:
        self._world = platform.world
        self._adapters = platform.adapters
        self._pool = pool
        self._watcher = watcher
        self._cancelled = cancelled
        self._working: dict[str, Delivery] = {}
        self._cancel_sent = False
        platform.world.on_work = self._work
        platform.world.stopped = cancelled
        platform.world.on_drop = self._dropped
        platform.watch(self._changed)

    def run(self, raw_job: object) -> RunReport:
        world = self._world
        started_at = world.clock.now_ms()
        context = world.context("local")
        answer = world.functions[PROCESS_WEBHOOK]({"job": raw_job}, context)
        body = answer["body"]
        if answer["statusCode"] == 400:
            raise JobRefused(Problem(p["path"], p["message"]) for p in body["details"])
        if answer["statusCode"] != 200:
            raise IacCiError(f"accepting the job: {body}")
        run_id = body["run_id"]
        self._watcher.accepted(run_id, {num: name for name, num in body["orders"].items()})
        finished = keys.finished_key(run_id)
        while self._adapters.internal.get(finished) is None:
            self._turn(run_id)
        return report(self._adapters, body, raw_job, started_at)

    def _turn(self, run_id: str) -> None:
        """Deliver a few, serve the workers, then let the watcher and the user have a word."""
        busy = False
        for _ in range(BUSY_TICKS):
            if not self._world.step():
                break
            busy = True
        due = self._world.due_in_s()
        wait = 0.0 if busy else min(TICK_S, TICK_S if due is None else due)
        for finished in self._pool.poll(wait):
            delivery = self._working.pop(finished.request_id)
            if finished.error is not None:
                self._world.failed(delivery, finished.error)
        self._watcher.tick()
        if not self._cancel_sent and self._cancelled():
            self._cancel_sent = True
            self._adapters.internal.put(keys.cancel_key(run_id), b"{}")

    def _work(self, delivery: Delivery) -> None:
        self._working[delivery.request_id] = delivery
        self._pool.submit(dict(delivery.event), delivery.request_id, delivery.handler)

    def _dropped(self, delivery: Delivery, error: object) -> None:
        """End a run that nobody packages any more: it would wait for packaging's deadline."""
        if delivery.function == PROCESS_WEBHOOK and not self._cancelled():
            raise IacCiError(f"packaging was given up: {error}")

    def _changed(self, change: Change) -> None:
        now = self._world.clock.now_ms()
        for order in change.orders:
            if order.rev:  # else it was put as ended in a run that closed before it was packaged
                self._watcher.order_changed(order.num, order.status, now, order.reason)
