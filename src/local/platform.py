"""The four handlers put together on one machine: the composition root of local runs.

`embedded` stands on the in-memory adapters. Which adapters it is makes no difference to what comes
after: the apps are those of production.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from src.common.ports import (
    Builds,
    Clock,
    CodeStore,
    Comments,
    LockStore,
    ObjectStore,
    Packager,
    RunStore,
    SecretSource,
    Uploads,
    Watchdogs,
    Workers,
)
from src.common.records import Change
from src.common.threads import one_by_one
from src.local.memory import (
    MemoryBuckets,
    MemoryBuilds,
    MemoryCodeStore,
    MemoryLockStore,
    MemoryPackager,
    MemoryRunStore,
    MemorySecrets,
    MemoryUploads,
    MemoryWatchdogs,
    MemoryWorkers,
)
from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, WATCHDOG_CHECK, Stack
from src.local.world import Handler, World
from src.orchestrator.app import Orchestrator
from src.orchestrator.perform import Ports
from src.process_webhook.assemble import Policy, assemble
from src.process_webhook.assemble import Ports as WebhookPorts
from src.watchdog_check.app import WatchdogCheck


@dataclass(frozen=True, kw_only=True)
class Adapters:
    """Every port of every handler."""

    runs: RunStore
    locks: LockStore
    internal: ObjectStore
    done: ObjectStore
    code: CodeStore
    packager: Packager
    workers: Workers
    builds: Builds
    watchdogs: Watchdogs
    secrets: SecretSource
    uploads: Uploads
    clock: Clock
    comments: Comments | None = None  # None: local runs tell nobody


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A world whose handlers stand on the given adapters; `runs` lets its commits be watched."""

    world: World
    adapters: Adapters
    runs: WatchedRuns

    def watch(self, watcher: Callable[[Change], None]) -> None:
        """Have each committed change told."""
        self.runs.watcher = watcher


class WatchedRuns:
    """A run store whose commits somebody may watch; all else is the store's own."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self.watcher: Callable[[Change], None] = _unwatched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, change: Change) -> None:
        """Commit, then tell."""
        self._store.commit(change)
        self.watcher(change)


def _unwatched(change: Change) -> None:
    del change


def handlers(
    adapters: Adapters,
    stack: Stack,
    stopped: Callable[[], bool] = lambda: False,
    *,
    patience_s: int = 20,
) -> Mapping[str, Handler]:
    """Build the apps of all functions but the worker, which has processes of its own.

    `patience_s` is packaging's, short as by default nothing else runs while it waits.
    """
    process_webhook = assemble(
        WebhookPorts(
            runs=adapters.runs,
            internal=adapters.internal,
            packager=adapters.packager,
            code=adapters.code,
            secrets=adapters.secrets,
            comments=adapters.comments,
            clock=adapters.clock,
            each=one_by_one,
            stopped=stopped,
        ),
        Policy(
            internal_bucket=stack.buckets["internal"].name,
            done_bucket=stack.buckets["done"].name,
            webhook_secret_parameter=stack.webhook_secret_parameter,
            require_freshness=stack.require_freshness,
            local=True,
            code_buckets=None,
            patience_s=patience_s,
        ),
    )
    orchestrator = Orchestrator(
        Ports(
            runs=adapters.runs,
            locks=adapters.locks,
            internal=adapters.internal,
            done=adapters.done,
            workers=adapters.workers,
            builds=adapters.builds,
            watchdogs=adapters.watchdogs,
            comments=adapters.comments,
            clock=adapters.clock,
        )
    )
    return {
        PROCESS_WEBHOOK: process_webhook,
        ORCHESTRATOR: orchestrator,
        WATCHDOG_CHECK: WatchdogCheck(adapters.internal, adapters.clock),
    }


def embedded(
    stack: Stack,
    secrets: Mapping[str, str],
    clock: Clock,
    world: World | None = None,
    *,
    code: CodeStore | None = None,
) -> Platform:
    """Return a platform in memory: no cloud, no Docker, nothing outside this process.

    `code` stands for the buckets that jobs name; default: those of this memory.
    """
    world = world or World(stack, clock)
    buckets = MemoryBuckets(world.object_created)
    locks = MemoryLockStore()
    runs = WatchedRuns(MemoryRunStore(locks))
    adapters = Adapters(
        runs=cast("RunStore", runs),
        locks=locks,
        internal=buckets.bucket(stack.buckets["internal"].name, clock),
        done=buckets.bucket(stack.buckets["done"].name, clock),
        code=code or MemoryCodeStore(buckets),
        packager=MemoryPackager(world.start_packaging),
        workers=MemoryWorkers(world.start_worker),
        builds=MemoryBuilds(world.start_build),
        watchdogs=MemoryWatchdogs(world.start_watchdog),
        secrets=MemorySecrets(secrets),
        uploads=MemoryUploads(buckets, clock),
        clock=clock,
    )
    world.functions.update(handlers(adapters, stack, world.has_stopped))
    return Platform(world=world, adapters=adapters, runs=runs)
