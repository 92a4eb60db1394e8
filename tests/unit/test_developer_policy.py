"""The policy for developers grants what the commands call, and nothing that opens a bundle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from botocore.stub import Stubber

from src.common.aws.clients import Clients
from src.common.keys import bundle_key, claim_key, result_key, vcs_key
from src.local.stack import Stack
from src.remote.aws import AwsStack
from src.remote.errors import Denied
from src.remote.state import ORDER_FIELDS, RUN_FIELDS
from src.remote.target import Target
from tests.support.iam.developer import developer_policy

pytestmark = pytest.mark.unit

STACK = Stack()
TARGET = Target(
    names={
        "function": STACK.functions["process_webhook"].name,
        "orders_table": STACK.tables["orders"].name,
        "events_table": STACK.tables["order_events"].name,
        "internal_bucket": STACK.buckets["internal"].name,
        "done_bucket": STACK.buckets["done"].name,
        "worker_function": STACK.functions["worker"].name,
        "build_project": STACK.build_project.name,
    },
    region=STACK.region,
    account=STACK.account,
)
CALLS = {
    "run": ("dynamodb", "get_item", lambda s: s.run("run-1")),
    "orders": ("dynamodb", "batch_get_item", lambda s: s.orders("run-1", ["0001"])),
    "trace": ("dynamodb", "get_item", lambda s: s.trace("run-1")),
    "events": ("dynamodb", "query", lambda s: s.events("t")),
    "job_events": ("dynamodb", "query", lambda s: next(s.job_events())),
    "done": ("s3", "get_object", lambda s: s.done("run-1")),
    "result": ("s3", "get_object", lambda s: s.result("run-1", "0001")),
    "request": ("s3", "get_object", lambda s: s.request("d" * 64)),
    "cancel": ("s3", "put_object", lambda s: s.cancel("run-1")),
    "lines": ("logs", "filter_log_events", lambda s: next(s.lines("run-1", "", 0, builds=False))),
    "builds": ("logs", "filter_log_events", lambda s: next(s.lines("run-1", "", 0, builds=True))),
    "parameter": ("ssm", "get_parameter", lambda s: s.parameter(STACK.webhook_secret_parameter)),
    "invoke": ("lambda_", "invoke", lambda s: s.invoke({})),
}


def a_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def statements() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(developer_policy(STACK))["Statement"]
    return found


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield Clients(region=STACK.region)


def granting(statements: list[dict[str, Any]], action: str, resource: str) -> list[str]:
    return [
        statement["Sid"]
        for statement in statements
        if action in a_list(statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in a_list(statement["Resource"]))
    ]


def needed(clients: Clients, name: str) -> tuple[str, str]:
    """Return action and resource that a call says it lacks."""
    service, method, call = CALLS[name]
    with Stubber(getattr(clients, service)) as stubber:
        stubber.add_client_error(method, "AccessDenied", http_status_code=403)
        with pytest.raises(Denied) as error:
            call(AwsStack(TARGET, clients))
    return error.value.action, error.value.resource.split(" ")[0]


@pytest.mark.parametrize("name", CALLS)
def test_what_a_command_calls_is_granted(
    statements: list[dict[str, Any]], clients: Clients, name: str
) -> None:
    assert granting(statements, *needed(clients, name))


def test_no_statement_is_there_that_no_command_needs(
    statements: list[dict[str, Any]], clients: Clients
) -> None:
    used = {sid for name in CALLS for sid in granting(statements, *needed(clients, name))}

    assert {statement["Sid"] for statement in statements} - used == {
        "SubmitByFunctionUrl",  # signed by hand: AwsStack.signed
        "TellMissingFromForbidden",  # what S3 asks of who wants a 404
    }


@pytest.mark.parametrize(
    "key",
    [bundle_key("run-1", "0001"), vcs_key("run-1"), claim_key("run-1", "0001")],
)
def test_bundles_and_credentials_are_out_of_reach(
    statements: list[dict[str, Any]], key: str
) -> None:
    bucket = f"arn:aws:s3:::{STACK.buckets['internal'].name}"

    assert granting(statements, "s3:GetObject", f"{bucket}/{key}") == []
    assert granting(statements, "s3:PutObject", f"{bucket}/{key}") == []
    assert granting(statements, "s3:PutObject", f"{bucket}/{result_key('run-1', '0001')}") == []


def test_of_rows_exactly_what_is_shown_may_be_read(statements: list[dict[str, Any]]) -> None:
    (rows,) = [one for one in statements if one["Sid"] == "StatusButNeverWhatOpensBundles"]

    granted = rows["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    assert set(granted) == {"pk", *RUN_FIELDS, *ORDER_FIELDS}
