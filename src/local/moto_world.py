"""The whole stack on moto, in this process: real boto3 adapters, an event pump instead of Lambda.

    with MotoWorld(clock=clock) as world:
        world.handlers[ORCHESTRATOR] = app      # any callable of (event, context)
        ...                                     # build handlers on world.clients and world.stack
        world.drain()                           # deliver until all is quiet
        world.release(); world.drain()          # the next turn of every watchdog

S3 events obey the stored notification configuration; executions run the stored definition in moto's
threads, but the handlers that they call run on the thread that drains. Time is the given clock's.
moto's state is the process's, so there is one world at a time: starting one ends the one before it,
which `reset` starts again, empty. Tests share a world and keep apart by unique run ids.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self
from unittest.mock import patch

from src.common.aws.clients import Clients
from src.common.clock import SystemClock
from src.common.codec import unpack
from src.common.keys import PAYLOAD_VARIABLE
from src.common.ports import Clock
from src.local.calls import CallLog
from src.local.deliveries import Deliveries
from src.local.pump import Delivery, Origin
from src.local.stack import WORKER, Stack

if TYPE_CHECKING:
    from boto3.session import Session

STOP_TIMEOUT_S: Final = 10.0

_CONFIG: Final[Any] = {
    "lambda": {"use_docker": False},
    "stepfunctions": {"execute_state_machine": True},
}


class MotoWorld(Deliveries):
    """The described stack on moto. A context manager; nothing of it outlives the block.

    Args:
        stack: what to deploy.
        clock: the time of waits, deadlines and idempotency tokens.
        webhook_secret: value of the SSM parameter that the stack names; None: there is none.

    `observers` are given the session of each world before it makes its first client.
    """

    observers: ClassVar[list[Callable[[Session], None]]] = []

    def __init__(
        self,
        stack: Stack | None = None,
        clock: Clock | None = None,
        webhook_secret: str | None = "a webhook secret",  # noqa: S107 - an emulator's
    ) -> None:
        super().__init__(stack or Stack(), clock or SystemClock())
        self.webhook_secret = webhook_secret
        self.clients = Clients(region=self.stack.region)
        self.calls = CallLog()
        self.starts = 0  # how often it started: what was stored in an earlier life is gone
        self._exits = ExitStack()

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
        """Start moto and deploy the stack (0.3 s); ends the world that ran in this process."""
        from moto import mock_aws

        from src.local import moto_deploy, moto_patches

        if _running:
            _running[-1].stop()
        with self._exits as exits:
            exits.enter_context(self._as_running())
            region = {"AWS_DEFAULT_REGION": self.stack.region, "AWS_REGION": self.stack.region}
            exits.enter_context(patch.dict(os.environ, region))
            exits.enter_context(mock_aws(config=_CONFIG))
            exits.enter_context(moto_patches.patched(_Platform(self)))
            for observe in (self.calls.attach, *self.observers):
                observe(self.clients.session)
            moto_deploy.deploy(self.stack, self.clients)
            if self.webhook_secret is not None:
                name = self.stack.webhook_secret_parameter
                moto_deploy.put_secrets(self.clients, {name: self.webhook_secret})
            self.calls.clear()
            self.pump.reopen()
            self.starts += 1
            self._exits = exits.pop_all()

    def stop(self) -> None:
        """End every execution and its threads, then moto; nothing if it runs no more."""
        if self.running:
            with self._exits:
                self._end_executions()

    def reset(self) -> None:
        """Forget deliveries, failures, counts and executions; objects and rows stay.

        A world that another one ended starts again, empty.
        """
        if self.running:
            self._end_executions()
            self.pump.reopen()
        else:
            self.start()
        self.failed.clear()
        self.calls.clear()

    @property
    def running(self) -> bool:
        """Whether this is the process's world."""
        return self in _running

    @contextmanager
    def _as_running(self) -> Iterator[None]:
        _running.append(self)
        try:
            yield
        finally:
            _running.remove(self)

    def _end_executions(self) -> None:
        from src.local import moto_patches

        until = time.monotonic() + STOP_TIMEOUT_S
        while True:
            # Again and again: an execution that is only starting cannot be stopped yet.
            joined = moto_patches.end_executions(self.stack.account, self.stack.region, 0.05)
            self.pump.close()
            if joined():
                return
            if time.monotonic() > until:
                raise TimeoutError(f"threads of executions still run after {STOP_TIMEOUT_S} s")


_running: Final[list[MotoWorld]] = []  # at most one


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
        event = unpack(variables[PAYLOAD_VARIABLE])
        self._world.push(Delivery(WORKER, event, Origin.BUILD))
