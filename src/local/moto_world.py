"""The whole stack on moto, in this process: real boto3 adapters, an event pump instead of Lambda.

    with MotoWorld(clock=clock) as world:
        world.handlers[ORCHESTRATOR] = app      # any callable of (event, context)
        ...                                     # build handlers on world.clients and world.stack
        world.drain()                           # deliver until all is quiet
        world.release(); world.drain()          # the next turn of every watchdog

S3 events obey the stored notification configuration; executions run the stored definition in moto's
threads, but the handlers that they call run on the thread that drains. Time is the given clock's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from unittest.mock import patch

from src.common.aws.clients import Clients
from src.common.aws.functions import PAYLOAD_VARIABLE
from src.common.clock import SystemClock
from src.common.codec import decode
from src.common.ports import Clock
from src.local.calls import CallLog, as_handler
from src.local.pump import Delivery, Origin, Pump
from src.local.stack import WORKER, Stack

Handler = Callable[[Any, Any], Any]

BUILD: Final = "build"  # handlers' key of what a build runs; without one, the worker's handler
LAMBDA_RETRIES: Final = 2  # of an asynchronous invocation
QUIET_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0


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


@dataclass
class MotoWorld:
    """The described stack on moto. A context manager; nothing of it outlives the block."""

    stack: Stack = field(default_factory=Stack)
    clock: Clock = field(default_factory=SystemClock)
    webhook_secret: str | None = "a webhook secret"  # noqa: S105 - emulated
    handlers: dict[str, Handler] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    calls: CallLog = field(default_factory=CallLog)

    def __post_init__(self) -> None:
        self._exits = ExitStack()
        self._pump = Pump(self.clock)
        self.clients = Clients(region=self.stack.region)
        self._keys = {function.name: key for key, function in self.stack.functions.items()}

    # -- life ---------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start moto and deploy the stack (0.2 s)."""
        from moto import mock_aws

        from src.local import moto_deploy, moto_patches

        with self._exits as exits:
            region = {"AWS_DEFAULT_REGION": self.stack.region, "AWS_REGION": self.stack.region}
            exits.enter_context(patch.dict(os.environ, region))
            exits.enter_context(
                mock_aws(
                    config={
                        "lambda": {"use_docker": False},
                        "stepfunctions": {"execute_state_machine": True},
                    }
                )
            )
            exits.enter_context(moto_patches.patched(_Platform(self)))
            self.calls.attach(self.clients.session)
            moto_deploy.deploy(self.stack, self.clients)
            if self.webhook_secret is not None:
                name = self.stack.webhook_secret_parameter
                moto_deploy.put_secrets(self.clients, {name: self.webhook_secret})
            self.calls.clear()
            self._exits = exits.pop_all()

    def stop(self) -> None:
        """End every execution and its threads, then moto."""
        with self._exits:
            self._end_executions()

    def reset(self) -> None:
        """Forget deliveries, failures, counts and executions; objects and rows stay."""
        self._end_executions()
        self._pump.reopen()
        self.failed.clear()
        self.calls.clear()

    def _end_executions(self) -> None:
        from src.local import moto_patches

        until = time.monotonic() + STOP_TIMEOUT_S
        while True:
            # Again and again: an execution that is only starting cannot be stopped yet.
            joined = moto_patches.end_executions(self.stack.account, self.stack.region, 0.05)
            self._pump.close()
            if joined():
                return
            if time.monotonic() > until:
                raise TimeoutError(f"threads of executions still run after {STOP_TIMEOUT_S} s")

    # -- deliveries ---------------------------------------------------------------------------

    @property
    def queue(self) -> tuple[Delivery, ...]:
        """The deliveries that wait, next first."""
        return self._pump.queue

    def take(self) -> list[Delivery]:
        """Return all waiting deliveries, leaving none: to reorder, drop or repeat them."""
        return self._pump.take()

    def push(self, delivery: Delivery) -> None:
        """Queue a delivery."""
        self._pump.push(delivery)

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
        while (delivery := self._pump.pop(timeout_s)) is not None:
            count += 1
            self._deliver(delivery, retries)
        return count

    def next_delivery(self, timeout_s: float) -> Delivery | None:
        """Return the next delivery for the caller to deliver; None when all is quiet."""
        return self._pump.pop(timeout_s)

    def answer(self, delivery: Delivery) -> None:
        """Run a state machine's task and hand it the answer."""
        self._deliver(delivery, 0)

    def wait(self, timeout_s: float) -> bool:
        """Wait in real time until a delivery is there; return whether one is."""
        return self._pump.wait(timeout_s)

    @property
    def next_due(self) -> int | None:
        """When (epoch ms) the next waiting execution wants to go on."""
        return self._pump.next_due

    def release(self, until_ms: int | None = None) -> int:
        """Let waiting executions go on that are due by `until_ms` (None: all); return how many."""
        return self._pump.release(until_ms)

    def _deliver(self, delivery: Delivery, retries: int) -> None:
        answer = delivery.answer
        if answer is not None:
            try:
                answer.set_result(self._run(delivery))
            except Exception as error:  # noqa: BLE001 - the state machine's Retry
                answer.set_exception(error)
            return
        try:
            self._run(delivery)
        except Exception as error:
            if not retries:
                raise
            if delivery.attempt > retries or delivery.origin is Origin.BUILD:
                self.failed.append(Failure(delivery, error))
                return
            delivery.attempt += 1
            self._pump.push(delivery)

    def _run(self, delivery: Delivery) -> Any:
        handler = self.handlers.get(BUILD) if delivery.origin is Origin.BUILD else None
        function = self.stack.functions[delivery.function]
        context = Context(
            function_name=function.name,
            aws_request_id=delivery.request_id,
            deadline_ms=self.clock.now_ms() + function.timeout * 1000,
            memory_limit_in_mb=function.memory,
            clock=self.clock,
        )
        with as_handler(delivery.function):
            return (handler or self.handlers[delivery.function])(delivery.event, context)

    def key_of(self, function: str) -> str:
        """Return the key of a function by its name or ARN."""
        return self._keys[function.rpartition(":")[2]]

    def invoke(self, function: str, event: Any, *, from_execution: bool) -> Any:
        """Run a handler for a synchronous invocation, on the draining thread if need be."""
        key = self.key_of(function)
        if from_execution:
            return self._pump.ask(key, event)
        return self._run(Delivery(key, event, Origin.INVOKE))

    @property
    def pump(self) -> Pump:
        """The queue itself, for the patched parts of moto."""
        return self._pump


class _Platform:
    """Turns what moto reports into deliveries of the world."""

    def __init__(self, world: MotoWorld) -> None:
        self._world = world
        self.now_ms = world.clock.now_ms
        self.invoke = world.invoke
        self.park = world.pump.park
        self.execution_started = world.pump.started
        self.execution_ended = world.pump.ended

    def s3_event(self, function_arn: str, event: Any) -> None:
        self._world.push(Delivery(self._world.key_of(function_arn), event, Origin.EVENT))

    def invoke_async(self, function: str, event: Any) -> None:
        self._world.push(Delivery(self._world.key_of(function), event, Origin.INVOKE))

    def build(self, variables: Mapping[str, str]) -> None:
        event = decode(variables[PAYLOAD_VARIABLE].encode())
        self._world.push(Delivery(WORKER, event, Origin.BUILD))
