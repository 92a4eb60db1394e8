"""The platform of a local run: deliveries to the handlers, their retries, and timers. One thread.

What AWS does between the handlers happens here: S3 events (merged, as S3 may put several records in
one event), asynchronous invocations with Lambda's two retries, and the watchdogs' waits. It knows
the handlers as callables and nothing of what they do.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote_plus

from src.common.keys import PACKAGE_RUN
from src.common.messages import Dispatch, WatchdogInput
from src.common.ports import Clock
from src.local.calls import BUILD
from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, WATCHDOG_CHECK, WORKER, Stack

log = logging.getLogger(__name__)

RETRY_DELAYS_S: Final = (
    1.0,
    2.0,
)  # Lambda waits one and two minutes; a person at a terminal does not
CHECK_RETRY_S: Final = 5.0
RECORDS_PER_EVENT: Final = 100
INVOCATION_MS: Final = 600_000

Handler = Callable[[Mapping[str, Any], Any], Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to a function."""

    function: str
    event: Mapping[str, Any]
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    attempt: int = 1
    build: bool = False  # a build's order: the worker is to run as CodeBuild runs it

    @property
    def handler(self) -> str:
        """Whose AWS calls those of this delivery are."""
        return BUILD if self.build else self.function


@dataclass(slots=True)
class Context:
    """What a Lambda handler gets to know of its invocation."""

    aws_request_id: str
    clock: Clock
    until: int

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may go on."""
        return max(0, self.until - self.clock.now_ms())


class World:
    """Delivers events to functions until nothing is due."""

    def __init__(self, stack: Stack, clock: Clock) -> None:
        self.stack = stack
        self.clock = clock
        self.functions: dict[str, Handler] = {}
        self.on_work: Callable[[Delivery], None] = self._deliver  # the worker may run elsewhere
        self.stopped: Callable[[], bool] = lambda: False  # whether the user gave up
        self.on_drop: Callable[[Delivery, object], None] = lambda *_: None  # with the last error
        self._queue: deque[Delivery] = deque()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def has_stopped(self) -> bool:
        """Return whether the user gave up."""
        return self.stopped()

    def object_created(self, bucket: str, key: str, size: int) -> None:
        """Apply the stack's notification rule to a new object."""
        rule = self.stack.notification
        if bucket == self.stack.buckets[rule.bucket].name and rule.matches(rule.bucket, key):
            self.invoke(rule.function, s3_event(bucket, key, size))

    def invoke(self, function: str, event: Mapping[str, Any]) -> None:
        """Queue an asynchronous invocation."""
        self._queue.append(Delivery(function, event))

    def start_packaging(self, run_id: str) -> None:
        """Queue process_webhook's invocation of itself."""
        self.invoke(PROCESS_WEBHOOK, {PACKAGE_RUN: run_id})

    def start_worker(self, dispatch: Dispatch) -> None:
        """Queue an order for a worker."""
        self.invoke(WORKER, dispatch.to_item())

    def start_build(self, dispatch: Dispatch) -> None:
        """Queue an order for a build: a worker too."""
        self._queue.append(Delivery(WORKER, dispatch.to_item(), build=True))

    def start_watchdog(self, name: str, task: WatchdogInput) -> None:
        """Start a watchdog: its first turn is due at once."""
        self._after(0, lambda: self._turn(name, task.to_item()))

    def step(self) -> bool:
        """Deliver what is due now; False when nothing was."""
        now = self.clock.now_ms()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        if not self._queue:
            return False
        delivery = self._next()
        if delivery.function == WORKER:
            self.on_work(delivery)
        else:
            self._deliver(delivery)
        return True

    def due_in_s(self) -> float | None:
        """Return the seconds until something is due, None when nothing ever is."""
        if self._queue:
            return 0.0
        if not self._timers:
            return None
        return max(0.0, (self._timers[0][0] - self.clock.now_ms()) / 1000)

    def failed(self, delivery: Delivery, error: object) -> None:
        """Repeat a failed delivery as Lambda does: twice, then it is dropped."""
        if not self.has_stopped():  # else it was told to, and who said so knows
            log.warning("%s, attempt %d: %s", delivery.function, delivery.attempt, error)
        if delivery.attempt <= len(RETRY_DELAYS_S):
            again = replace(delivery, attempt=delivery.attempt + 1)
            self._after(RETRY_DELAYS_S[delivery.attempt - 1], lambda: self._queue.append(again))
        else:
            log.error("%s: dropped after %d attempts", delivery.function, delivery.attempt)
            self.on_drop(delivery, error)

    def context(self, request_id: str) -> Context:
        """Return the context of an invocation that begins now."""
        return Context(request_id, self.clock, self.clock.now_ms() + INVOCATION_MS)

    def _next(self) -> Delivery:
        """Take the first delivery, with the S3 events behind it as further records."""
        first = self._queue.popleft()
        if first.function != ORCHESTRATOR or first.attempt > 1:
            return first
        records = list(first.event["Records"])
        while self._queue and len(records) < RECORDS_PER_EVENT:
            following = self._queue[0]
            if following.function != ORCHESTRATOR or following.attempt > 1:
                break
            records += self._queue.popleft().event["Records"]
        return replace(first, event={"Records": records})

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self.functions[delivery.function](delivery.event, self.context(delivery.request_id))
        except Exception as error:  # noqa: BLE001 - the platform's part: repeat, then drop
            self.failed(delivery, error)

    def _turn(self, name: str, task: Mapping[str, Any]) -> None:
        """One turn of a watchdog, as the state machine takes it."""
        try:
            answer = self.functions[WATCHDOG_CHECK](task, self.context(name))
        except Exception as error:  # noqa: BLE001 - the state machine's Retry
            log.warning("watchdog %s: %s", name, error)
            self._after(CHECK_RETRY_S, lambda: self._turn(name, task))
            return
        if not answer["done"]:
            following = {**task, **answer}
            self._after(self.stack.wait_s, lambda: self._turn(name, following))

    def _after(self, seconds: float, work: Callable[[], None]) -> None:
        due = self.clock.now_ms() + int(seconds * 1000)
        heapq.heappush(self._timers, (due, next(self._order), work))


def s3_event(bucket: str, key: str, size: int = 0) -> dict[str, Any]:
    """Return the event of an object's creation, its key encoded as S3 does."""
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "size": size}},
    }
    return {"Records": [record]}
