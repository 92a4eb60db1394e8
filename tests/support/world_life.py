"""Whole lives of a moto world, for a process of its own: a new world ends the session's."""

from __future__ import annotations

import os
import threading
import uuid

from src.common.aws.functions import StepFunctionsWatchdogs
from src.common.messages import WatchdogInput
from src.local.moto_world import MotoWorld
from src.local.stack import WATCHDOG_CHECK
from tests.support.build import NOW


def end_while(when: str) -> list[str]:
    """End a world while its executions are parked, asking or starting; return what is left over."""
    threads = set(threading.enumerate())
    environment = dict(os.environ)
    with MotoWorld() as world:
        world.handlers[WATCHDOG_CHECK] = lambda _event, _context: {"done": False, "poked_at": None}
        watchdogs = StepFunctionsWatchdogs(
            world.clients, state_machine_arn=world.stack.state_machine_arn
        )
        for _ in range(5):
            task = WatchdogInput(run_id="r", num="0001", start_by=NOW, end_by=NOW, due_at=NOW)
            watchdogs.start(str(uuid.uuid4()), task)
        if when == "parked":
            world.drain()
            assert world.next_due is not None
        if when == "asking":
            assert world.wait(timeout_s=30)
    left = [thread.name for thread in set(threading.enumerate()) - threads]
    changed = set(os.environ.items()) ^ set(environment.items())
    return left + sorted(name for name, _ in changed)


def objects_of_two_worlds() -> list[int]:
    """Return how many objects each of two worlds finds at its start; each leaves one."""
    counts = []
    for _ in range(2):
        with MotoWorld() as world:
            bucket = world.stack.buckets["internal"].name
            counts.append(world.clients.s3.list_objects_v2(Bucket=bucket)["KeyCount"])
            world.clients.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    return counts
