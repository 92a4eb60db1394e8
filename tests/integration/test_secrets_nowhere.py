"""A secret goes through a whole run, is printed by its commands, and lies nowhere in clear."""

from __future__ import annotations

import base64
import io
import json
import logging
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from src.common.clock import SystemClock
from src.common.codec import unpack
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

pytestmark = pytest.mark.integration

PASSWORD = "correct horse/battery+staple"
TOKEN = "tok-4711-ABCDEFGH"
KEY, CIPHERTEXT = "AGE-SECRET-KEY-1", "age-encryption.org/v1"
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


class RecordingWorld(World):
    """Keeps what workers, builds and state machines are given."""

    def __init__(self, stack: Stack, clock: SystemClock) -> None:
        super().__init__(stack, clock)
        self.given: dict[str, str] = {}

    def start_worker(self, dispatch: Dispatch) -> None:
        self.given[f"worker {dispatch.num}"] = json.dumps(dispatch.to_item())
        super().start_worker(dispatch)

    def start_build(self, dispatch: Dispatch) -> None:
        self.given[f"build {dispatch.num}"] = json.dumps(dispatch.to_item())
        super().start_build(dispatch)

    def start_watchdog(self, name: str, task: WatchdogInput) -> None:
        self.given[f"watchdog {name}"] = json.dumps(task.to_item())
        super().start_watchdog(name, task)


def recorded(moto: MotoWorld) -> dict[str, str]:
    """Return a map that fills with what functions and builds are given: moto does not keep it."""
    given: dict[str, str] = {}

    def note(params: Mapping[str, Any], **_: Any) -> None:
        texts = [params["Payload"].decode()] if "Payload" in params else []
        packed = [entry["value"] for entry in params.get("environmentVariablesOverride", ())]
        texts += [json.dumps(unpack(value)) for value in packed]  # no scan sees into what is packed
        given.update({f"given {len(given) + at}": text for at, text in enumerate(texts)})

    moto.clients.lambda_.meta.events.register("provide-client-params.lambda.Invoke", note)
    moto.clients.codebuild.meta.events.register("provide-client-params.codebuild.StartBuild", note)
    return given


def texts_of(body: bytes) -> str:
    """Return an object as text, with what is packed in it if it is a zip."""
    if not zipfile.is_zipfile(io.BytesIO(body)):
        return body.decode("latin-1")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return "\n".join(archive.read(name).decode("latin-1") for name in archive.namelist())


def assert_each_was_handed_over(given: Mapping[str, str]) -> None:
    identities = [text for text in given.values() if KEY in text]
    assert len(identities) == len(JOB["orders"]), (
        "the scan does not see into what workers are given"
    )


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
    world, listener = RecordingWorld(Stack(), SystemClock()), Listener()
    platform = embedded(world.stack, SECRETS, SystemClock(), world)

    report = run_on(platform, JOB, parallel=2, watcher=listener, cancelled=lambda: False)

    assert_it_ran(report)
    places = seen(report, listener, caplog)
    adapters: Any = platform.adapters
    for name in ("runs", "locks"):
        store = getattr(adapters, name)
        places |= {f"{name} {at}": repr(item) for at, item in enumerate(store.everything())}
    for name in ("internal", "done"):
        objects = getattr(adapters, name).everything()
        places |= {key: texts_of(body) for key, body in objects.items()}
    assert_each_was_handed_over(world.given)
    places |= world.given
    assert len(places) > 30
    assert any(key.startswith(EXEC) for key in places)
    assert_clean(places)


def test_no_store_of_a_run_on_moto_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "src")
    listener = Listener()
    with MotoWorld() as moto:
        put_secrets(moto.clients, SECRETS, SECRETS)
        platform, given = moto_platform(moto), recorded(moto)

        report = run_on(platform, JOB, parallel=2, watcher=listener, cancelled=lambda: False)

        assert_it_ran(report)
        places = seen(report, listener, caplog) | dict(everything_on(moto))
    assert_each_was_handed_over(given)
    places |= given
    assert len(places) > 30
    assert any(key.startswith(EXEC) for key in places)
    assert_clean(places)


def everything_on(moto: MotoWorld) -> Iterator[tuple[str, str]]:
    """Yield name and content of every row, object and execution, and what moto keeps of builds."""
    clients = moto.clients
    for table in moto.stack.tables.values():
        for at, item in enumerate(clients.dynamodb.scan(TableName=table.name)["Items"]):
            yield f"{table.name} {at}", repr(item)
    for bucket in moto.stack.buckets.values():
        for entry in clients.s3.list_objects_v2(Bucket=bucket.name).get("Contents", ()):
            body = clients.s3.get_object(Bucket=bucket.name, Key=entry["Key"])["Body"].read()
            yield entry["Key"], texts_of(body)
    executions = clients.stepfunctions.list_executions(stateMachineArn=moto.stack.state_machine_arn)
    for execution in executions["executions"]:
        arn = execution["executionArn"]
        described = clients.stepfunctions.describe_execution(executionArn=arn)
        yield arn, described["input"] + str(described.get("output"))
    builds = clients.codebuild.list_builds()["ids"]
    for build in clients.codebuild.batch_get_builds(ids=builds)["builds"] if builds else ():
        yield build["id"], repr(build)


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
