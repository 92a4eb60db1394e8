"""The boto3 adapters on moto, in this process, behind the same world as the embedded platform.

moto holds tables, buckets, the stored notification rules and the state machine; what its pump lets
out is delivered by the world as everywhere else, so runs differ in their adapters alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, cast

from src.common.ports import Clock, CodeStore, RunStore
from src.local.calls import as_handler
from src.local.deployed import deployed_adapters
from src.local.moto_deploy import put_secrets
from src.local.moto_world import MotoWorld
from src.local.platform import Platform, WatchedRuns, handlers
from src.local.pump import Origin
from src.local.stack import Stack
from src.local.world import Delivery, Handler, World

BUSY_TIMEOUT_S: Final = 60.0  # of executions in moto's threads that are neither waiting nor ended


class MotoBackedWorld(World):
    """A world whose deliveries and waits come out of moto."""

    def __init__(self, moto: MotoWorld) -> None:
        super().__init__(moto.stack, moto.clock)
        self._moto = moto
        moto.handlers = self.functions

    def step(self) -> bool:
        """Take what moto let out, then deliver what is due now."""
        self._moto.release(self.clock.now_ms())
        while (given := self._moto.next_delivery(BUSY_TIMEOUT_S)) is not None:
            if given.answer is not None:
                self._moto.answer(given)
            else:
                build = given.origin is Origin.BUILD
                self._queue.append(
                    Delivery(given.function, given.event, given.request_id, build=build)
                )
        return super().step()

    def due_in_s(self) -> float | None:
        """Return the seconds until something is due, here or in moto."""
        dues = [due for due in (super().due_in_s(), self._moto_due_in_s()) if due is not None]
        return min(dues, default=None)

    def _moto_due_in_s(self) -> float | None:
        due = self._moto.next_due
        return None if due is None else max(0.0, (due - self.clock.now_ms()) / 1000)


def moto_platform(moto: MotoWorld, *, code: CodeStore | None = None) -> Platform:
    """Put the handlers onto the boto3 adapters of a started moto world.

    `code` stands for the buckets that jobs name; default: moto's.
    """
    stack = moto.stack
    deployed = deployed_adapters(moto.clients, stack, moto.clock)
    runs = WatchedRuns(deployed.runs)
    adapters = replace(deployed, runs=cast("RunStore", runs), code=code or deployed.code)
    world = MotoBackedWorld(moto)
    for key, handler in handlers(adapters, stack, world.has_stopped).items():
        world.functions[key] = _attributed(key, handler)
    return Platform(world=world, adapters=adapters, runs=runs)


def _attributed(key: str, handler: Handler) -> Handler:
    def call(event: Mapping[str, object], context: object) -> object:
        with as_handler(key):
            return handler(event, context)

    return call


@contextmanager
def on_moto(
    stack: Stack, secrets: Mapping[str, str], clock: Clock, *, code: CodeStore | None = None
) -> Iterator[Platform]:
    """Return a platform on moto, with the secrets in both SSM and Secrets Manager."""
    with MotoWorld(stack=stack, clock=clock) as moto:
        put_secrets(moto.clients, secrets, secrets)
        yield moto_platform(moto, code=code)
