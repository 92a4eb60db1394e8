"""A secret goes through a whole run, is printed by its commands, and lies nowhere in clear."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from src.common.clock import SystemClock
from src.common.keys import EXEC
from src.common.status import JobStatus, OrderStatus
from src.local.moto_deploy import put_secrets
from src.local.moto_platform import moto_platform
from src.local.moto_world import MotoWorld
from src.local.platform import embedded
from src.local.report import RunReport
from src.local.run import run_on
from src.local.stack import Stack

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

    def order_changed(self, num: str, status: OrderStatus, at_ms: int) -> None:
        self.lines.append(f"{num} {status} {at_ms}")

    def line(self, num: str, text: str) -> None:
        self.lines.append(f"{num} {text}")

    def tick(self) -> None:
        return


def forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield base64.b64encode(secret.encode()).decode().rstrip("=")


def assert_clean(places: Mapping[str, str]) -> None:
    """No form of a secret, plain or escaped as JSON, lies in any of the named texts."""
    found = [
        (place, form)
        for place, text in places.items()
        for secret in (PASSWORD, TOKEN)
        for form in forms(secret)
        if form in text or json.dumps(form)[1:-1] in text
    ]
    assert found == []


def seen(report: RunReport, listener: Listener, caplog: pytest.LogCaptureFixture) -> dict[str, str]:
    return {"report": repr(report), "terminal": "\n".join(listener.lines), "logs": caplog.text}


def assert_it_ran(report: RunReport) -> None:
    assert {order.name: order.status for order in report.orders} == {
        "printer": "succeeded",
        "failing": "failed",
    }
    assert report.status is JobStatus.FAILED
    assert "the password is ***" in report.orders[0].log


def test_no_store_of_a_run_in_memory_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "src")
    platform, listener = embedded(Stack(), SECRETS, SystemClock()), Listener()

    report = run_on(platform, JOB, parallel=2, watcher=listener, cancelled=lambda: False)

    assert_it_ran(report)
    places = seen(report, listener, caplog)
    adapters: Any = platform.adapters
    for name in ("runs", "locks"):
        store = getattr(adapters, name)
        places |= {f"{name} {at}": repr(item) for at, item in enumerate(store.everything())}
    for name in ("internal", "done"):
        objects = getattr(adapters, name).everything()
        places |= {key: body.decode("latin-1") for key, body in objects.items()}
    assert len(places) > 30
    assert any(key.startswith(EXEC) for key in places)
    assert_clean(places)


def test_no_store_of_a_run_on_moto_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "src")
    listener = Listener()
    with MotoWorld() as moto:
        put_secrets(moto.clients, SECRETS, SECRETS)
        platform = moto_platform(moto)

        report = run_on(platform, JOB, parallel=2, watcher=listener, cancelled=lambda: False)

        assert_it_ran(report)
        places = seen(report, listener, caplog) | dict(everything_on(moto))
    assert len(places) > 30
    assert any(key.startswith(EXEC) for key in places)
    assert_clean(places)


def everything_on(moto: MotoWorld) -> Iterator[tuple[str, str]]:
    """Yield name and content of every row, object, execution and build."""
    clients = moto.clients
    for table in moto.stack.tables.values():
        for at, item in enumerate(clients.dynamodb.scan(TableName=table.name)["Items"]):
            yield f"{table.name} {at}", repr(item)
    for bucket in moto.stack.buckets.values():
        for entry in clients.s3.list_objects_v2(Bucket=bucket.name).get("Contents", ()):
            body = clients.s3.get_object(Bucket=bucket.name, Key=entry["Key"])["Body"].read()
            yield entry["Key"], body.decode("latin-1")
    executions = clients.stepfunctions.list_executions(stateMachineArn=moto.stack.state_machine_arn)
    for execution in executions["executions"]:
        arn = execution["executionArn"]
        described = clients.stepfunctions.describe_execution(executionArn=arn)
        yield arn, described["input"] + str(described.get("output"))
    builds = clients.codebuild.list_builds()["ids"]
    for build in clients.codebuild.batch_get_builds(ids=builds)["builds"] if builds else ():
        yield build["id"], repr(build)


KEY, CIPHERTEXT = "AGE-SECRET-KEY-1", "age-encryption.org/v1"


def assert_apart(objects: Mapping[str, str], others: Mapping[str, str]) -> None:
    """Bundles lie in the buckets, the identities that open them everywhere but there."""
    assert any(CIPHERTEXT in body for body in objects.values())
    assert any(KEY in text for text in others.values())
    assert [name for name, body in objects.items() if KEY in body] == []
    assert [name for name, text in others.items() if CIPHERTEXT in text] == []


def test_no_store_of_a_run_in_memory_holds_a_bundle_and_its_key() -> None:
    platform = embedded(Stack(), SECRETS, SystemClock())

    run_on(platform, JOB, parallel=2, watcher=Listener(), cancelled=lambda: False)

    adapters: Any = platform.adapters
    buckets = (adapters.internal.everything() | adapters.done.everything()).items()
    items = (*adapters.runs.everything(), *adapters.locks.everything())
    assert_apart(
        {key: body.decode("latin-1") for key, body in buckets},
        {str(at): repr(item) for at, item in enumerate(items)},
    )


def test_no_store_of_a_run_on_moto_holds_a_bundle_and_its_key() -> None:
    with MotoWorld() as moto:
        put_secrets(moto.clients, SECRETS, SECRETS)

        run_on(moto_platform(moto), JOB, parallel=2, watcher=Listener(), cancelled=lambda: False)

        places = dict(everything_on(moto))
    rows = ("iac-ci-", "arn:")  # tables by their names, executions by theirs
    others = {name: text for name, text in places.items() if name.startswith(rows)}
    builds = {name: text for name, text in places.items() if ":" in name} | others
    assert_apart({name: places[name] for name in places.keys() - builds.keys()}, builds)


def test_the_scan_would_find_a_secret_that_leaked() -> None:
    with pytest.raises(AssertionError):
        assert_clean({"row": f"x {TOKEN} y"})
    with pytest.raises(AssertionError):
        assert_clean({"row": base64.b64encode(PASSWORD.encode()).decode()})
    with pytest.raises(AssertionError):
        assert_apart({"bundle": f"{KEY} {CIPHERTEXT}"}, {"row": KEY})
    with pytest.raises(AssertionError):
        assert_apart({"bundle": CIPHERTEXT}, {"row": f"{KEY} {CIPHERTEXT}"})
