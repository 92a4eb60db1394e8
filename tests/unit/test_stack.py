"""The stack's description: names that keep stacks apart, and what each handler's settings want."""

from __future__ import annotations

import hashlib
import json

import pytest

from src.common import keys
from src.local.stack import ORCHESTRATOR, SETTINGS, Stack

pytestmark = pytest.mark.unit


def test_names_carry_the_hash_of_workspace_region_and_salt() -> None:
    stack = Stack(workspace="prod", region="eu-north-1", salt="s")
    digest = hashlib.sha256(b"prodeu-north-1s").hexdigest()[-5:]

    assert stack.buckets["internal"].name == f"iac-ci-internal-{digest}"
    assert stack.buckets["done"].name == f"iac-ci-done-{digest}"
    assert stack.functions[ORCHESTRATOR].name == f"iac-ci-orchestrator-{digest}"
    assert {Stack().hash, Stack(salt="x").hash, Stack(region="us-east-1").hash} != {Stack().hash}


@pytest.mark.parametrize("key", SETTINGS)
def test_every_handler_gets_exactly_what_its_settings_ask_for(key: str) -> None:
    stack = Stack()

    settings = SETTINGS[key].from_env(stack.environment(key))

    assert settings.locks_table == stack.tables["orchestrator_locks"].name
    assert set(stack.environment(key)) == {
        f"IAC_CI_{name.upper()}" for name in SETTINGS[key].model_fields
    }
    assert stack.functions[key].command == f"src.{key}.handler.handler"


@pytest.mark.parametrize(
    ("key", "wakes"),
    [
        (keys.accepted_key("r"), True),
        (keys.result_key("r", "0000"), True),
        (keys.result_key("r", "0001"), True),
        (keys.poke_key("r"), True),
        (keys.cancel_key("r"), True),
        (keys.claim_key("r", "0001"), False),
        (keys.ack_key("r", "0001"), False),
        (keys.finished_key("r"), False),
        (keys.vcs_key("r"), False),
        (keys.bundle_key("r", "0001"), False),
    ],
)
def test_the_notification_wakes_the_orchestrator_for_what_it_can_parse(
    key: str, *, wakes: bool
) -> None:
    rule = Stack().notification

    assert rule.matches("internal", key) is wakes
    assert (keys.parse_callback(key) is not None) is wakes
    assert not rule.matches("done", key)


def test_the_state_machine_has_the_specified_states() -> None:
    definition = json.loads(json.dumps(Stack().definition))
    states = definition["States"]

    assert definition["StartAt"] == "CheckResult"
    assert {name: state["Type"] for name, state in states.items()} == {
        "CheckResult": "Task",
        "IsDone": "Choice",
        "WaitStep": "Wait",
        "Succeed": "Succeed",
    }
    assert states["CheckResult"]["Resource"] == Stack().function_arn("watchdog_check")
    assert states["CheckResult"]["Retry"][0]["ErrorEquals"] == ["States.ALL"]
    assert states["WaitStep"] == {"Type": "Wait", "Seconds": 60, "Next": "CheckResult"}
