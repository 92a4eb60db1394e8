"""Runs a planned state machine in moto's interpreter: nothing else judges its language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from src.local.moto_world import MotoWorld
from src.local.stack import WATCHDOG_CHECK, Stack


def execute(
    definition: Mapping[str, Any], given: Mapping[str, Any], answers: Sequence[Mapping[str, Any]]
) -> tuple[list[Any], Any]:
    """Execute until it ends; return what each turn's task was given, and the output.

    Args:
        definition: the state machine, its task's ARN being of the described stack.
        given: the execution's input.
        answers: of the task, turn by turn.

    Raises:
        AssertionError: it did not end with these answers, or not well.
    """

    class Planned(Stack):
        @property
        def definition(self) -> dict[str, Any]:
            return dict(definition)

    seen: list[Any] = []
    coming = iter(answers)

    def check(event: Any, _context: Any) -> Any:
        seen.append(event)
        return next(coming)

    with MotoWorld(stack=Planned()) as world:
        world.handlers[WATCHDOG_CHECK] = check
        client = world.clients.stepfunctions
        arn = client.start_execution(
            stateMachineArn=world.stack.state_machine_arn, name="planned", input=json.dumps(given)
        )["executionArn"]
        world.drain()
        for _ in range(len(answers) - 1):
            world.release()
            world.drain()
        found = client.describe_execution(executionArn=arn)
    assert found["status"] == "SUCCEEDED", (found["status"], found.get("cause"), seen)
    return seen, json.loads(found["output"])
