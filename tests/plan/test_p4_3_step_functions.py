"""P4.3 of the specification: step_functions.tf. Sentence by sentence, and by execution."""

from __future__ import annotations

import json
from importlib import metadata
from typing import Any

import pytest

from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan
from tests.support.terraform.planner import Planner
from tests.support.terraform.stages import DEPLOY, ROOT

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]


@pytest.fixture
def states(plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = plan.one("aws_sfn_state_machine").json("definition")["States"]
    return found


def test_watchdog_state_machine(deployment: Plan, names: Names) -> None:
    machine = deployment.one("aws_sfn_state_machine")

    machine.has(name=names.of("watchdog"), type="STANDARD")
    expected = {'aws_iam_role.role["watchdog"].arn'}
    deployment.includes(expected, machine.refers["role_arn"], "role_arn refers to", at=machine)


def test_definition_starts_at_check_result(plan: Plan) -> None:
    machine = plan.one("aws_sfn_state_machine")

    plan.hold("CheckResult", machine.json("definition")["StartAt"], "StartAt", at=machine)


def test_definition_has_exactly_the_four_states(plan: Plan, states: dict[str, Any]) -> None:
    expected = {"CheckResult", "IsDone", "WaitStep", "Succeed"}
    plan.hold(expected, {*states}, "states", at=plan.one("aws_sfn_state_machine"))


def test_check_result_is_a_task_that_invokes_watchdog_check_next_is_done(
    plan: Plan, names: Names, states: dict[str, Any]
) -> None:
    state = states["CheckResult"]

    got = {name: state.get(name) for name in ("Type", "Resource", "Next")}
    expected = {"Type": "Task", "Resource": names.function("watchdog_check"), "Next": "IsDone"}
    plan.hold(expected, got, "CheckResult", at=plan.one("aws_sfn_state_machine"))


def test_check_result_is_retried_on_every_error_with_backoff(
    plan: Plan, states: dict[str, Any]
) -> None:
    machine = plan.one("aws_sfn_state_machine")
    (retry,) = states["CheckResult"]["Retry"]

    plan.hold(["States.ALL"], retry["ErrorEquals"], "what is retried", at=machine)
    plan.check(retry["BackoffRate"] > 1, f"{retry}: it backs off", at=machine)
    longest_s = retry["MaxAttempts"] * retry["MaxDelaySeconds"]
    plan.check(longest_s > 12 * 3600, f"{retry}: it outlasts an outage of hours", at=machine)


def test_is_done_is_a_choice_done_true_leads_to_succeed_else_wait_step(
    plan: Plan, states: dict[str, Any]
) -> None:
    done = {"Variable": "$.done", "BooleanEquals": True, "Next": "Succeed"}
    expected = {"Type": "Choice", "Choices": [done], "Default": "WaitStep"}

    plan.hold(expected, states["IsDone"], "IsDone", at=plan.one("aws_sfn_state_machine"))


def test_wait_step_waits_60_seconds_next_check_result(plan: Plan, states: dict[str, Any]) -> None:
    expected = {"Type": "Wait", "Seconds": 60, "Next": "CheckResult"}

    plan.hold(expected, states["WaitStep"], "WaitStep", at=plan.one("aws_sfn_state_machine"))


def test_succeed_is_a_succeed(plan: Plan, states: dict[str, Any]) -> None:
    expected = {"Type": "Succeed"}
    plan.hold(expected, states["Succeed"], "Succeed", at=plan.one("aws_sfn_state_machine"))


def test_definition_runs_to_its_end_and_each_turn_has_the_input(
    plan: Plan, planner: Planner
) -> None:
    machine = plan.one("aws_sfn_state_machine")
    definition = machine["definition"]
    given = {"run_id": "run-1", "done": False}
    answers = [{"done": False}, {"done": True}]

    def run() -> tuple[list[Any], Any]:
        from tests.support.terraform.execution import execute  # it takes moto

        return execute(json.loads(definition), given, answers)

    emulator = [path.read_text() for path in sorted((ROOT / "src/local").glob("*.py"))]
    inputs = [definition, given, answers, metadata.version("moto"), emulator]
    seen, output = planner.once("execution", inputs, run)

    runs = [event["run_id"] for event in seen]
    plan.hold(["run-1", "run-1"], runs, "what each turn was given", at=machine)
    expected = {"run_id": "run-1", "done": True}
    plan.hold(expected, output, "the execution's output", at=machine)
