"""The simulation on moto: boto3 adapters, moto's tables and buckets, and its own S3 events.

Executions are the simulation's here too, since it owns their waits.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from src.common.messages import Dispatch
from src.common.ports import RunStore
from src.local.deployed import deployed_adapters
from src.local.memory import MemoryWatchdogs
from src.local.moto_world import MotoWorld
from src.local.platform import Adapters, Platform, WatchedRuns
from src.local.pump import Origin
from src.local.stack import Stack
from tests.simulation.aws import SimulatedAws
from tests.simulation.simulation import MakePlatform, SimulatedClock
from tests.support.leaks import Secret, Text, out_of_place
from tests.support.sim import OwnedClock
from tests.support.stores import clients_of, everything

_spaces = itertools.count(1)


def on_moto(moto: MotoWorld) -> dict[str, Any]:
    """Return the arguments that put one simulation onto a running moto world.

    moto dates what it signs and stores by the machine's clock, so the simulation begins now. Its
    stores hold the runs of a whole session, so they are searched once a test (`conftest.py`).
    """
    now = int(time.time() * 1000)
    platform = {"make_platform": _make(moto), "look": _nothing}
    return {**platform, "now": now, "id_space": next(_spaces)}


def _nothing(_adapters: Adapters) -> list[Text]:
    return []


def in_clear(moto: MotoWorld, stored: Iterable[Secret]) -> list[str]:
    """Return what is in clear or out of place in any of moto's stores."""
    return out_of_place(everything(clients_of(moto.clients)), stored)


def _make(moto: MotoWorld) -> MakePlatform:

    def make(stack: Stack, clock: SimulatedClock, aws: SimulatedAws) -> Platform:
        moto_clock = moto.clock
        assert isinstance(moto_clock, OwnedClock)

        def collect() -> None:
            moto_clock.now = clock.now_ms()  # dates tokens of builds
            for delivery in moto.take():
                if delivery.origin is Origin.BUILD:
                    aws.start_build(Dispatch.from_item(delivery.event))
                else:
                    aws.invoke(delivery.function, delivery.event)

        aws.collect = collect
        deployed = deployed_adapters(moto.clients, stack, clock)
        runs = WatchedRuns(deployed.runs)
        adapters = replace(
            deployed,
            runs=cast("RunStore", runs),
            watchdogs=MemoryWatchdogs(aws.start_watchdog),
        )
        return Platform(world=aws, adapters=adapters, runs=runs)

    return make
