"""The deliveries of an emulated platform, and the state machines' threads that wait for time.

One thread drains the queue and so runs every handler, also the ones that a state machine calls from
a thread of its own: handlers never run side by side. It knows no AWS.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Condition
from typing import Any

from src.common.ports import Clock


class Origin(StrEnum):
    """What made a delivery."""

    INVOKE = "invoke"  # asynchronous invocation
    EVENT = "event"  # S3 notification
    BUILD = "build"  # a CodeBuild build: the worker's payload, not a Lambda event
    TASK = "task"  # a state machine waits for the answer


@dataclass(slots=True)
class Delivery:
    """One event on its way to the handler of a function (by key)."""

    function: str
    event: Any
    origin: Origin
    attempt: int = 1
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: Future[Any] | None = None  # of a TASK


class Stopped(Exception):
    """The world stopped while a state machine waited for an answer."""


@dataclass(slots=True)
class _Parked:
    due: int
    released: bool = False


class Pump:
    """Queue of deliveries, and who is at work."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = Condition()
        self._queue: deque[Delivery] = deque()
        self._busy = 0  # executions that are neither parked nor ended
        self._parked: list[_Parked] = []
        self._closed = False

    @property
    def queue(self) -> tuple[Delivery, ...]:
        """The deliveries that wait, next first."""
        with self._changed:
            return tuple(self._queue)

    def push(self, delivery: Delivery) -> None:
        """Queue a delivery."""
        with self._changed:
            self._queue.append(delivery)
            self._changed.notify_all()

    def ask(self, function: str, event: Mapping[str, Any]) -> Any:
        """Queue a task and wait for its answer; for threads of state machines only.

        Raises:
            Stopped: the world ends.
        """
        answer: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise Stopped
            self._queue.append(Delivery(function, event, Origin.TASK, answer=answer))
            self._changed.notify_all()
        return answer.result()

    def pop(self, timeout_s: float) -> Delivery | None:
        """Return the next delivery, waiting while executions are at work; None when all is quiet.

        Raises:
            TimeoutError: executions are still at work after `timeout_s`.
        """
        with self._changed:
            quiet = self._changed.wait_for(lambda: self._queue or not self._busy, timeout_s)
            if not quiet:
                raise TimeoutError(f"{self._busy} executions still run after {timeout_s} s")
            return self._queue.popleft() if self._queue else None

    def wait(self, timeout_s: float) -> bool:
        """Wait until a delivery is there, at most `timeout_s`; return whether one is."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: self._queue, timeout_s))

    def take(self) -> list[Delivery]:
        """Return all deliveries, leaving none: to reorder, drop or repeat them."""
        with self._changed:
            taken = list(self._queue)
            self._queue.clear()
            return taken

    def started(self) -> None:
        """Note that an execution is at work."""
        with self._changed:
            self._busy += 1

    def ended(self) -> None:
        """Note that an execution ended."""
        with self._changed:
            self._busy -= 1
            self._changed.notify_all()

    def park(self, seconds: float) -> None:
        """Wait in an execution's thread until released, whatever real time passes."""
        parked = _Parked(self._clock.now_ms() + int(seconds * 1000))
        with self._changed:
            self._parked.append(parked)
            self._busy -= 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: parked.released or self._closed)
            if not parked.released:
                self._parked.remove(parked)
                self._busy += 1

    @property
    def next_due(self) -> int | None:
        """When (epoch ms) the first parked execution wants to go on; None when none is parked."""
        with self._changed:
            return min((parked.due for parked in self._parked), default=None)

    def release(self, until_ms: int | None = None) -> int:
        """Let executions go on that are due by `until_ms` (None: all); return how many."""
        with self._changed:
            due = [p for p in self._parked if until_ms is None or p.due <= until_ms]
            self._parked = [p for p in self._parked if p not in due]
            for parked in due:
                parked.released = True
            self._busy += len(due)
            self._changed.notify_all()
            return len(due)

    def close(self) -> None:
        """Let every waiting thread go; from now on nothing waits."""
        with self._changed:
            self._closed = True
            waiting = [d.answer for d in self._queue if d.answer is not None]
            self._queue.clear()
            self._changed.notify_all()
        for answer in waiting:
            answer.set_exception(Stopped())

    def reopen(self) -> None:
        """Take deliveries again after `close`."""
        with self._changed:
            self._closed = False
