"""The emulated platform: events by the stored rules, retries, executions, counts."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from src.common.aws.functions import StepFunctionsWatchdogs
from src.common.aws.objects import S3ObjectStore
from src.common.keys import PAYLOAD_VARIABLE, ack_key, execution_name, result_key
from src.common.messages import WatchdogInput
from src.local.deliveries import LAMBDA_RETRIES
from src.local.moto_world import MotoWorld
from src.local.pump import Delivery, Origin
from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, WATCHDOG_CHECK, WORKER
from tests.support.build import NOW

pytestmark = [
    pytest.mark.integration,
    pytest.mark.stand_ins("what is tested is the world around the handlers"),
]


@pytest.fixture
def world(moto: MotoWorld) -> MotoWorld:
    moto.handlers = {}
    return moto


def bucket_of(world: MotoWorld, key: str = "internal") -> S3ObjectStore:
    return S3ObjectStore(world.clients, bucket=world.stack.buckets[key].name)


def start_watchdog(world: MotoWorld, run_id: str) -> WatchdogInput:
    task = WatchdogInput(run_id=run_id, num="0001", start_by=NOW, end_by=NOW + 1, due_at=NOW)
    watchdogs = StepFunctionsWatchdogs(
        world.clients, state_machine_arn=world.stack.state_machine_arn
    )
    watchdogs.start(execution_name(run_id, "0001"), task)
    return task


def status_of(world: MotoWorld, run_id: str) -> str:
    arn = world.stack.state_machine_arn.replace(":stateMachine:", ":execution:")
    execution = world.clients.stepfunctions.describe_execution(
        executionArn=f"{arn}:{execution_name(run_id, '0001')}"
    )
    return execution["status"]


def test_the_stored_rule_decides_which_objects_wake_the_orchestrator(
    world: MotoWorld, run_id: str
) -> None:
    woken: list[Any] = []
    world.handlers[ORCHESTRATOR] = lambda event, context: woken.append((event, context))

    bucket_of(world).put_new(result_key(run_id, "0001"), b"{}")
    bucket_of(world).put_new(result_key(run_id, "0001"), b"{}")  # refused: no event
    bucket_of(world).put_new(ack_key(run_id, "0001"), b"{}")
    bucket_of(world, "done").put_new(result_key(run_id, "0001"), b"{}")

    assert world.drain() == 1
    [(event, context)] = woken
    [record] = event["Records"]
    assert record["s3"]["bucket"]["name"] == world.stack.buckets["internal"].name
    assert record["s3"]["object"]["key"] == result_key(run_id, "0001").replace("/", "%2F")
    assert context.function_name == world.stack.functions[ORCHESTRATOR].name
    assert context.get_remaining_time_in_millis() == 600_000


def test_an_event_that_a_handler_causes_is_delivered_in_the_same_drain(
    world: MotoWorld, run_id: str
) -> None:
    woken: list[str] = []

    def orchestrate(event: Any, _context: object) -> None:
        woken.append(event["Records"][0]["s3"]["object"]["key"])
        bucket_of(world).put_new(result_key(run_id, "0002"), b"{}")

    world.handlers[ORCHESTRATOR] = orchestrate
    bucket_of(world).put_new(result_key(run_id, "0001"), b"{}")

    assert world.drain() == 2
    assert [key[-16:] for key in woken] == ["0001%2Fresult.json"[-16:], "0002%2Fresult.json"[-16:]]


def test_a_failing_delivery_is_repeated_twice_with_its_request_id_and_then_given_up(
    world: MotoWorld,
) -> None:
    seen: list[str] = []

    def fail(_event: object, context: Any) -> None:
        seen.append(context.aws_request_id)
        raise ValueError("broken")

    world.handlers[ORCHESTRATOR] = fail
    world.push(Delivery(ORCHESTRATOR, {}, Origin.EVENT))

    world.drain(retries=LAMBDA_RETRIES)

    assert len(seen) == 3
    assert len(set(seen)) == 1
    [failure] = world.failed
    assert isinstance(failure.error, ValueError)


def test_a_delivery_can_be_taken_one_by_one_and_a_task_answered(
    world: MotoWorld, run_id: str
) -> None:
    world.handlers[WATCHDOG_CHECK] = lambda _event, _context: {"done": True, "poked_at": None}
    start_watchdog(world, run_id)

    delivery = world.next_delivery()
    assert delivery is not None
    assert (delivery.function, delivery.origin) == (WATCHDOG_CHECK, Origin.TASK)
    world.answer(delivery)

    assert world.next_delivery() is None
    assert status_of(world, run_id) == "SUCCEEDED"


def test_a_second_world_ends_the_first_which_a_reset_starts_again(
    world: MotoWorld, run_id: str
) -> None:
    bucket_of(world).put("tmp/first", b"")
    start_watchdog(world, run_id)

    with MotoWorld() as second:
        assert not world.running
        assert bucket_of(second).get("tmp/first") is None
        world.stop()
        assert second.running
    world.reset()

    assert world.running
    assert world.queue == ()
    bucket_of(world).put("tmp/second", b"")
    assert world.calls.by_name() == {"s3.PutObject": 1}


def test_a_failing_delivery_is_raised_when_nobody_asked_for_retries(world: MotoWorld) -> None:
    def fail(_event: object, _context: object) -> None:
        raise ValueError("broken")

    world.handlers[ORCHESTRATOR] = fail
    world.push(Delivery(ORCHESTRATOR, {}, Origin.EVENT))

    with pytest.raises(ValueError, match="broken"):
        world.drain()


def test_deliveries_can_be_taken_and_pushed_in_another_order(world: MotoWorld) -> None:
    seen: list[Any] = []
    world.handlers[WORKER] = lambda event, _: seen.append(event["num"])
    for number in range(3):
        world.clients.lambda_.invoke(
            FunctionName=world.stack.functions[WORKER].name,
            InvocationType="Event",
            Payload=b'{"num": %d}' % number,
        )

    for delivery in reversed(world.take()):
        world.push(delivery)
    world.drain()

    assert seen == [2, 1, 0]


def test_a_synchronous_invocation_answers_with_the_result_or_the_error(world: MotoWorld) -> None:
    world.handlers[PROCESS_WEBHOOK] = lambda event, _: {"doubled": event["n"] * 2}
    name = world.stack.functions[PROCESS_WEBHOOK].name

    good = world.clients.lambda_.invoke(FunctionName=name, Payload=b'{"n": 2}')
    bad = world.clients.lambda_.invoke(FunctionName=name, Payload=b"{}")

    assert good["Payload"].read() == b'{"doubled": 4}'
    assert "FunctionError" not in good
    assert bad["FunctionError"] == "Unhandled"
    assert b"KeyError" in bad["Payload"].read()


def test_a_build_gets_its_environment_and_its_token_lasts_five_minutes(
    world: MotoWorld, run_id: str
) -> None:
    built: list[Any] = []
    world.handlers[WORKER] = lambda event, _: built.append(event)

    def start(number: int) -> None:
        world.clients.codebuild.start_build(
            projectName=world.stack.build_project.name,
            idempotencyToken=run_id,
            environmentVariablesOverride=[
                {"name": PAYLOAD_VARIABLE, "value": f'{{"n": {number}}}', "type": "PLAINTEXT"}
            ],
        )

    start(1)
    start(1)
    with pytest.raises(world.clients.codebuild.exceptions.InvalidInputException, match="token"):
        start(2)
    world.clock.sleep(300)
    start(3)
    world.drain()

    assert built == [{"n": 1}, {"n": 3}]


def test_an_execution_loops_until_done_and_each_turn_knows_the_last_answer(
    world: MotoWorld, run_id: str
) -> None:
    turns: list[dict[str, Any]] = []

    def check(event: dict[str, Any], _context: object) -> dict[str, Any]:
        turns.append(event)
        return {"done": len(turns) == 3, "poked_at": None if len(turns) == 1 else NOW}

    world.handlers[WATCHDOG_CHECK] = check
    task = start_watchdog(world, run_id)

    world.drain()
    now = world.clock.now_ms()
    assert world.next_due == now + 60_000
    assert world.release(now + 59_999) == 0
    while world.release():
        world.drain()

    assert [WatchdogInput.from_item(turn).poked_at for turn in turns] == [None, None, NOW]
    assert all({**turn, **task.to_item()} == {**turn} for turn in turns)
    assert status_of(world, run_id) == "SUCCEEDED"


def test_a_check_that_fails_is_retried_by_the_state_machine(world: MotoWorld, run_id: str) -> None:
    attempts: list[Any] = []

    def check(event: dict[str, Any], _context: object) -> dict[str, Any]:
        attempts.append(event)
        if len(attempts) <= 5:
            raise OSError("outage")
        return {"done": True, "poked_at": None}

    world.handlers[WATCHDOG_CHECK] = check
    start_watchdog(world, run_id)

    world.drain()
    while world.release():
        world.drain()

    assert len(attempts) == 6
    assert attempts[0] == attempts[5]
    assert status_of(world, run_id) == "SUCCEEDED"


def test_handlers_of_executions_run_on_the_draining_thread(world: MotoWorld) -> None:
    threads: set[str] = set()

    def check(_event: object, _context: object) -> dict[str, Any]:
        threads.add(threading.current_thread().name)
        return {"done": True, "poked_at": None}

    world.handlers[WATCHDOG_CHECK] = check
    for _ in range(10):
        start_watchdog(world, str(uuid.uuid4()))

    world.drain()

    assert threads == {threading.current_thread().name}


def test_calls_are_counted_by_handler_and_operation(world: MotoWorld, run_id: str) -> None:
    world.handlers[WORKER] = lambda _event, _context: bucket_of(world).put("tmp/x", b"12345")
    world.push(Delivery(WORKER, {}, Origin.INVOKE))

    world.drain()
    bucket_of(world).get("tmp/x")

    tallies = {(o.handler, o.name): t for o, t in world.calls.tallies.items()}
    assert set(tallies) == {("worker", "s3.PutObject"), ("", "s3.GetObject")}
    assert tallies["worker", "s3.PutObject"].sent == 5
    assert tallies["", "s3.GetObject"].received == 5
    assert world.calls.by_name() == {"s3.PutObject": 1, "s3.GetObject": 1}
    assert world.calls.total().calls == 2
