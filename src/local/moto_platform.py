"""The boto3 adapters on moto, in this process, behind the same world as the embedded platform.

moto holds tables, buckets, the stored notification rules and the state machine; what its pump lets
out is delivered by the world as everywhere else, so runs differ in their adapters alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, cast

from src.common.aws.functions import (
    CodeBuilds,
    LambdaPackager,
    LambdaWorkers,
    StepFunctionsWatchdogs,
)
from src.common.aws.locks import DynamoLockStore
from src.common.aws.objects import S3CodeStore, S3ObjectStore
from src.common.aws.runs import DynamoRunStore
from src.common.aws.secrets import AwsSecretSource
from src.common.aws.uploads import HttpUploads
from src.common.ports import Clock, RunStore
from src.local.calls import as_handler
from src.local.moto_deploy import put_secrets
from src.local.moto_world import MotoWorld
from src.local.platform import Adapters, Platform, WatchedRuns, handlers
from src.local.stack import PROCESS_WEBHOOK, WORKER, Stack
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
                self._queue.append(Delivery(given.function, given.event, given.request_id))
        return super().step()

    def due_in_s(self) -> float | None:
        """Return the seconds until something is due, here or in moto."""
        dues = [due for due in (super().due_in_s(), self._moto_due_in_s()) if due is not None]
        return min(dues, default=None)

    def _moto_due_in_s(self) -> float | None:
        due = self._moto.next_due
        return None if due is None else max(0.0, (due - self.clock.now_ms()) / 1000)


def moto_platform(moto: MotoWorld) -> Platform:
    """Put the handlers onto the boto3 adapters of a started moto world."""
    stack, clients = moto.stack, moto.clients
    runs = WatchedRuns(
        DynamoRunStore(
            clients,
            orders_table=stack.tables["orders"].name,
            events_table=stack.tables["order_events"].name,
        )
    )
    adapters = Adapters(
        runs=cast("RunStore", runs),
        locks=DynamoLockStore(clients, locks_table=stack.tables["orchestrator_locks"].name),
        internal=S3ObjectStore(clients, bucket=stack.buckets["internal"].name),
        done=S3ObjectStore(clients, bucket=stack.buckets["done"].name),
        code=S3CodeStore(clients),
        packager=LambdaPackager(clients, function=stack.functions[PROCESS_WEBHOOK].name),
        workers=LambdaWorkers(clients, function=stack.functions[WORKER].name),
        builds=CodeBuilds(clients, project=stack.build_project.name),
        watchdogs=StepFunctionsWatchdogs(clients, state_machine_arn=stack.state_machine_arn),
        secrets=AwsSecretSource(clients),
        uploads=HttpUploads(),
        clock=moto.clock,
    )
    world = MotoBackedWorld(moto)
    for key, handler in handlers(adapters, stack).items():
        world.functions[key] = _attributed(key, handler)
    return Platform(world=world, adapters=adapters, runs=runs)


def _attributed(key: str, handler: Handler) -> Handler:
    def call(event: Mapping[str, object], context: object) -> object:
        with as_handler(key):
            return handler(event, context)

    return call


@contextmanager
def on_moto(stack: Stack, secrets: Mapping[str, str], clock: Clock) -> Iterator[Platform]:
    """Return a platform on moto, with the secrets in both SSM and Secrets Manager."""
    with MotoWorld(stack=stack, clock=clock) as moto:
        put_secrets(moto.clients, secrets, secrets)
        yield moto_platform(moto)
