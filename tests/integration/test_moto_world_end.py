"""The emulated platform leaves nothing behind, and there is one of it at a time."""

from __future__ import annotations

import os
import threading
import uuid

import boto3
import pytest

from src.common.aws.functions import StepFunctionsWatchdogs
from src.common.records import WatchdogInput
from src.local.moto_world import MotoWorld
from src.local.stack import WATCHDOG_CHECK
from tests.support.build import NOW

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("when", ["parked", "asking", "starting"])
def test_no_thread_of_an_execution_outlives_the_world(when: str) -> None:
    before = set(threading.enumerate())
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

    assert set(threading.enumerate()) == before
    assert dict(os.environ) == environment


def test_a_second_world_is_refused_and_leaves_the_first_intact() -> None:
    with MotoWorld() as world:
        with pytest.raises(RuntimeError, match="another"):
            MotoWorld().start()

        names = world.clients.dynamodb.list_tables()["TableNames"]
        assert sorted(names) == sorted(table.name for table in world.stack.tables.values())


def test_each_world_starts_empty() -> None:
    for _ in range(2):
        with MotoWorld() as world:
            bucket = world.stack.buckets["internal"].name
            assert "Contents" not in world.clients.s3.list_objects_v2(Bucket=bucket)
            world.clients.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert boto3.DEFAULT_SESSION is None
