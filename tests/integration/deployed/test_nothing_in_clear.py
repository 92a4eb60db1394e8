"""The search for secrets that follows every scenario finds them in every store, in every form."""

from __future__ import annotations

import base64
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

import pytest

from src.common import codec
from src.common.keys import PAYLOAD_VARIABLE
from src.local.stack import WORKER
from tests.support.deployed.site import Site
from tests.support.leaks import out_of_place
from tests.support.stores import clients_of

pytestmark = pytest.mark.integration

_PASS: Final = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'


def test_whatever_is_stored_as_a_secret_is_looked_for(site: Site) -> None:
    ssm, manager = site.clients.ssm, site.clients.secretsmanager
    name, values = f"{site.secret_prefix}{uuid.uuid4().hex}", [uuid.uuid4().hex for _ in range(4)]
    ssm.put_parameter(Name=f"/{name}", Type="SecureString", Value=values[0])
    manager.create_secret(Name=name, SecretString=values[1])
    manager.put_secret_value(SecretId=name, SecretString=json.dumps({"key": values[2]}))
    manager.update_secret(SecretId=name, SecretString=values[3])
    ssm.delete_parameter(Name=f"/{name}")
    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)

    known = {value for _, value in site.stored_secrets()}
    assert known >= {*values, site.webhook_secret}


def test_a_secret_in_any_store_is_found_and_its_place_named(site: Site) -> None:
    """The value is stored nowhere else, so the search after all scenarios does not know it."""
    value = f"planted/{uuid.uuid4().hex}"
    asked = clients_of(site.clients)
    planted = [(*plant(site, asked, value), form) for plant, form in _PLANTS]
    try:
        found = out_of_place(site.left(), [("the planted one", value)])
    finally:
        for _, remove, _ in planted:
            remove()

    assert sorted(found) == sorted(
        f"{place}: has the planted one {form}" for place, _, form in planted
    )


Plant = tuple[str, Callable[[], Any]]  # where it lies, and what removes it


def _row(site: Site, _: Any, value: str) -> Plant:
    table = site.stack.tables["orders"].name
    key = {"pk": {"S": f"planted-{uuid.uuid4().hex}"}}
    site.clients.dynamodb.put_item(TableName=table, Item={**key, "b": {"B": value.encode()}})
    return f"table {table}, {key['pk']['S']}", lambda: site.clients.dynamodb.delete_item(
        TableName=table, Key=key
    )


def _object(site: Site, body: bytes, **metadata: str) -> Plant:
    bucket, key = site.stack.buckets["done"].name, f"planted-{uuid.uuid4().hex}"
    site.clients.s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)
    return f"bucket {bucket}, {key}", lambda: site.clients.s3.delete_object(Bucket=bucket, Key=key)


def _body(site: Site, _: Any, value: str) -> Plant:
    return _object(site, quote(value, safe="").encode())


def _zipped(site: Site, _: Any, value: str) -> Plant:
    return _object(site, _zip("code/deep", value * 9))


def _zip(name: str, text: str) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return body.getvalue()


def _metadata(site: Site, _: Any, value: str) -> Plant:
    return _object(site, b"", planted=base64.b64encode(value.encode()).decode())


def _log(site: Site, client: Any, value: str) -> Plant:
    logs, group = client("logs"), f"/planted/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    said = base64.b64encode(b"me" + value.encode()).decode()
    event = {"timestamp": int(time.time() * 1000), "message": f"printed {said}"}
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=[event])
    return f"log {group}, one", lambda: logs.delete_log_group(logGroupName=group)


def _execution(site: Site, client: Any, value: str) -> Plant:
    states, name = site.clients.stepfunctions, f"planted{uuid.uuid4().hex[:8]}"
    role = f"arn:aws:iam::{site.stack.account}:role/{site.stack.name('watchdog')}"
    arn = states.create_state_machine(name=name, definition=_PASS, roleArn=role)["stateMachineArn"]
    states.start_execution(stateMachineArn=arn, name=name, input=json.dumps({"a": value}))
    return f"state machine {name}, {name}", lambda: states.delete_state_machine(stateMachineArn=arn)


def _build(site: Site, _: Any, value: str) -> Plant:
    project = site.stack.build_project.name
    variable: Any = {
        "name": PAYLOAD_VARIABLE,
        "value": codec.pack({"planted": value, "or": "x" * 40}),
        "type": "PLAINTEXT",
    }
    build = site.clients.codebuild.start_build(
        projectName=project, environmentVariablesOverride=[variable]
    )["build"]["id"]
    return f"build {project}, {build}", lambda: None  # it goes with the project


def _message(site: Site, client: Any, value: str) -> Plant:
    sqs, name = client("sqs"), f"planted-{uuid.uuid4().hex}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sent = sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"a": value}))["MessageId"]
    return f"queue {name}, {sent}", lambda: sqs.delete_queue(QueueUrl=url)


def _function(site: Site, _: Any, value: str) -> Plant:
    lambda_, name = site.clients.lambda_, f"planted-{uuid.uuid4().hex}"
    lambda_.create_function(
        FunctionName=name,
        Role=f"arn:aws:iam::{site.stack.account}:role/{site.stack.name(WORKER)}",
        Runtime="python3.12",
        Handler="none.handler",
        Code={"ZipFile": _zip("none.py", "")},
        Environment={"Variables": {"PLANTED": value}},
    )
    return f"function {name}, settings", lambda: lambda_.delete_function(FunctionName=name)


_PLANTS: Final[Sequence[tuple[Callable[[Site, Any, str], Plant], str]]] = (  # in which form
    (_row, "in clear"),
    (_body, "URL-encoded"),
    (_zipped, "in clear"),
    (_metadata, "in base64, shifted by 0"),
    (_log, "in base64, shifted by 2"),
    (_execution, "in clear"),
    (_build, "in clear"),
    (_message, "in clear"),
    (_function, "in clear"),
)
