"""Delivers what an emulated platform queued to the handlers, as Lambda would; knows no AWS API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from src.common.ports import Clock
from src.local.calls import BUILD, as_handler
from src.local.pump import Delivery, Origin, Pump
from src.local.stack import Stack

Handler = Callable[[Any, Any], Any]

LAMBDA_RETRIES: Final = 2  # of an asynchronous invocation
QUIET_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler gets beside its event."""

    function_name: str
    aws_request_id: str
    deadline_ms: int
    memory_limit_in_mb: int
    clock: Clock

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still take."""
        return max(0, self.deadline_ms - self.clock.now_ms())


@dataclass(frozen=True, slots=True)
class Failure:
    """A delivery whose attempts are used up, and the last error."""

    delivery: Delivery
    error: Exception


class Deliveries:
    """Handlers by function key, the queue of events for them, and waiting executions."""

    def __init__(self, stack: Stack, clock: Clock) -> None:
        self.stack = stack
        self.clock = clock
        self.handlers: dict[str, Handler] = {}
        self.failed: list[Failure] = []
        self.pump = Pump(clock)
        self._keys = {function.name: key for key, function in stack.functions.items()}

    @property
    def queue(self) -> tuple[Delivery, ...]:
        """The deliveries that wait, next first."""
        return self.pump.queue

    def take(self) -> list[Delivery]:
        """Return all waiting deliveries, leaving none: to reorder, drop or repeat them."""
        return self.pump.take()

    def push(self, delivery: Delivery) -> None:
        """Queue a delivery."""
        self.pump.push(delivery)

    def drain(self, retries: int = 0, timeout_s: float = QUIET_TIMEOUT_S) -> int:
        """Deliver until nothing waits and every execution is parked or ended.

        Args:
            retries: how often a failing delivery is repeated, at the end of the queue. With 0 its
                error is raised here; else (`LAMBDA_RETRIES` is AWS's) it ends up in `failed`.
            timeout_s: of real time, that executions may be at work without a delivery.

        Returns:
            The number of deliveries.
        """
        count = 0
        while (delivery := self.next_delivery(timeout_s)) is not None:
            count += 1
            if delivery.answer is not None:
                self.answer(delivery)
            else:
                self._deliver(delivery, retries)
        return count

    def next_delivery(self, timeout_s: float = QUIET_TIMEOUT_S) -> Delivery | None:
        """Take the next delivery, for who delivers himself; None when all is quiet.

        One with an `answer` goes back through `answer`. Waits while executions are at work.

        Raises:
            TimeoutError: executions are still at work after `timeout_s`.
        """
        return self.pump.pop(timeout_s)

    def answer(self, delivery: Delivery) -> None:
        """Run the handler that a state machine waits for, and give it the result or the error."""
        assert delivery.answer is not None
        try:
            delivery.answer.set_result(self._run(delivery))
        except Exception as error:  # noqa: BLE001 - the state machine's Retry
            delivery.answer.set_exception(error)

    def wait(self, timeout_s: float) -> bool:
        """Wait in real time until a delivery is there; return whether one is."""
        return self.pump.wait(timeout_s)

    @property
    def next_due(self) -> int | None:
        """When (epoch ms) the next waiting execution wants to go on."""
        return self.pump.next_due

    def release(self, until_ms: int | None = None) -> int:
        """Let waiting executions go on that are due by `until_ms` (None: all); return how many."""
        return self.pump.release(until_ms)

    def key_of(self, function: str) -> str:
        """Return the key of a function by its name or ARN."""
        return self._keys[function.rpartition(":")[2]]

    def invoke(self, function: str, event: Any, *, from_execution: bool) -> Any:
        """Run a handler for a synchronous invocation, on the draining thread if need be."""
        key = self.key_of(function)
        if from_execution:
            return self.pump.ask(key, event)
        return self._run(Delivery(key, event, Origin.INVOKE))

    def _deliver(self, delivery: Delivery, retries: int) -> None:
        try:
            self._run(delivery)
        except Exception as error:
            if not retries:
                raise
            if delivery.attempt > retries or delivery.origin is Origin.BUILD:
                self.failed.append(Failure(delivery, error))
                return
            delivery.attempt += 1
            self.pump.push(delivery)

    def _run(self, delivery: Delivery) -> Any:
        key = BUILD if delivery.origin is Origin.BUILD else delivery.function
        function = self.stack.functions[delivery.function]
        context = Context(
            function_name=function.name,
            aws_request_id=delivery.request_id,
            deadline_ms=self.clock.now_ms() + function.timeout * 1000,
            memory_limit_in_mb=function.memory,
            clock=self.clock,
        )
        handler = self.handlers.get(key) or self.handlers[delivery.function]
        with as_handler(key):
            return handler(delivery.event, context)
