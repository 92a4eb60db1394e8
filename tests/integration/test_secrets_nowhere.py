"""A secret goes through a whole run, is printed by its commands, and lies nowhere in clear."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from src.common.clock import SystemClock
from src.common.keys import EXEC
from src.common.messages import Dispatch, WatchdogInput
from src.common.status import JobStatus, OrderStatus
from src.local.moto_deploy import put_secrets
from src.local.moto_platform import moto_platform
from src.local.moto_world import MotoWorld
from src.local.platform import embedded
from src.local.report import RunReport
from src.local.run import run_on
from src.local.stack import Stack
from src.local.world import World
from tests.support.leaks import CIPHERTEXT, DISPATCH, IDENTITY, Text, out_of_place
from tests.support.stores import clients_of, everything, in_memory

pytestmark = pytest.mark.integration

PASSWORD = "correct horse/battery+staple"
TOKEN = "tok-4711-ABCDEFGH"
SECRETS = {"/iac-ci/db_password": PASSWORD, "iac-ci/keys": json.dumps({"api_token": TOKEN})}
JOB: dict[str, Any] = {
    "username": "alice",
    "orders": [
        {
            "order_name": "printer",
            "timeout": 30,
            "ssm_paths": ["/iac-ci/db_password"],
            "secret_manager_paths": ["iac-ci/keys"],
            "cmds": [
                'echo "the password is $DB_PASSWORD"',
                'printf "%s" "$api_token" | base64',
                'for c in $(echo "$api_token" | fold -w 3); do printf "%s" "$c"; done; echo',
                'test "$(printf %s "$api_token" | wc -c)" = 17',
            ],
        },
        {
            "order_name": "failing",
            "timeout": 30,
            "use_lambda": False,
            "ssm_paths": {"P": "/iac-ci/db_password"},
            "cmds": ['echo "$P" >&2; exit 3'],
        },
    ],
}


class Listener:
    """Keeps what a person at the terminal would see."""

    every_line = True

    def __init__(self) -> None:
        self.lines: list[str] = []

    def accepted(self, run_id: str, orders: Mapping[str, str]) -> None:
        self.lines.append(f"{run_id} {orders}")

    def order_changed(
        self, num: str, status: OrderStatus, at_ms: int, reason: str | None = None
    ) -> None:
        self.lines.append(f"{num} {status} {at_ms}")

    def line(self, num: str, text: str) -> None:
        self.lines.append(f"{num} {text}")

    def tick(self) -> None:
        return


class RecordingWorld(World):
    """Keeps what workers, builds and state machines are given."""

    def __init__(self, stack: Stack, clock: SystemClock) -> None:
        super().__init__(stack, clock)
        self.given: list[Text] = []

    def start_worker(self, dispatch: Dispatch) -> None:
        self.given.append(Text(DISPATCH, "worker", dispatch.num, json.dumps(dispatch.to_item())))
        super().start_worker(dispatch)

    def start_build(self, dispatch: Dispatch) -> None:
        self.given.append(Text(DISPATCH, "worker", dispatch.num, json.dumps(dispatch.to_item())))
        super().start_build(dispatch)

    def start_watchdog(self, name: str, task: WatchdogInput) -> None:
        self.given.append(Text("state machine", "watchdog", name, json.dumps(task.to_item())))
        super().start_watchdog(name, task)


def recorded(moto: MotoWorld) -> list[Text]:
    """Return a list that fills with what functions are handed: moto does not keep it."""
    given: list[Text] = []

    def note(params: Mapping[str, Any], **_: Any) -> None:
        given.append(Text(DISPATCH, params["FunctionName"], "", params["Payload"].decode()))

    moto.clients.lambda_.meta.events.register("provide-client-params.lambda.Invoke", note)
    return given


def assert_each_was_handed_over(given: Sequence[Text]) -> None:
    identities = [each for each in given if IDENTITY in each.text]
    assert len(identities) == len(JOB["orders"]), (
        "the search does not see into what workers are given"
    )


KNOWN = [("the password", PASSWORD), ("the token", TOKEN)]


def seen(report: RunReport, listener: Listener, caplog: pytest.LogCaptureFixture) -> list[Text]:
    told = {"report": repr(report), "terminal": "\n".join(listener.lines), "logs": caplog.text}
    return [Text("log", "of this process", key, text) for key, text in told.items()]


def assert_it_ran(report: RunReport) -> None:
    assert {order.name: order.status for order in report.orders} == {
        "printer": "succeeded",
        "failing": "failed",
    }
    assert report.status is JobStatus.FAILED
    assert "the password is ***" in report.orders[0].log


def test_no_store_of_a_run_in_memory_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "src")
    world, listener = RecordingWorld(Stack(), SystemClock()), Listener()
    platform = embedded(world.stack, SECRETS, SystemClock(), world)

    report = run_on(platform, JOB, parallel=2, watcher=listener, cancelled=lambda: False)

    assert_it_ran(report)
    assert_each_was_handed_over(world.given)
    left = [*in_memory(platform.adapters), *world.given]
    assert_ran_through(left)
    assert out_of_place([*left, *seen(report, listener, caplog)], KNOWN) == []


def test_no_store_of_a_run_on_moto_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "src")
    listener = Listener()
    with MotoWorld() as moto:
        put_secrets(moto.clients, SECRETS, SECRETS)
        platform, given = moto_platform(moto), recorded(moto)

        report = run_on(platform, JOB, parallel=2, watcher=listener, cancelled=lambda: False)

        assert_it_ran(report)
        left = [*everything(clients_of(moto.clients)), *given]
    assert_each_was_handed_over([each for each in left if each.kind in (DISPATCH, "build")])
    assert_ran_through(left)
    assert out_of_place([*left, *seen(report, listener, caplog)], KNOWN) == []


def assert_ran_through(left: Sequence[Text]) -> None:
    """What was searched holds bundles and what opens them: the search cannot come out empty."""
    assert len(left) > 25
    assert any(CIPHERTEXT in text.text and text.key.startswith(EXEC) for text in left)
    assert any(IDENTITY in text.text for text in left)
