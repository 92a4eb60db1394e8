"""What is noted of a call: who made it, which resource it names, which action it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from boto3.session import Session
from botocore.awsrequest import AWSResponse

from src.local.calls import as_handler
from tests.support.iam import actions
from tests.support.iam.actions import RENAMED, UnknownActionError, action_of, expand
from tests.support.iam.arns import Place, resource
from tests.support.iam.needs import Need, of_calls
from tests.support.iam.recorder import Call, Recorder

pytestmark = pytest.mark.unit

REGION, ACCOUNT = "eu-west-1", "123456789012"
TABLES = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    """A session whose calls are answered at once with nothing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    made = Session(region_name=REGION)
    made.events.register("before-send.*.*", lambda request, **_: _empty(request.url))
    return made


def _empty(url: str) -> AWSResponse:
    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield b"{}"

    return AWSResponse(url, 200, {}, Raw())


@pytest.fixture
def calls(session: Session) -> Iterator[list[Call]]:
    noted: list[Call] = []
    recorder = Recorder(ACCOUNT)
    recorder.attach(session)
    with recorder.told_to(noted.append):
        yield noted


def test_a_call_is_noted_with_its_handler_and_the_resource_it_names(
    session: Session, calls: list[Call]
) -> None:
    with as_handler("worker"):
        session.client("dynamodb").get_item(TableName="t", Key={"pk": {"S": "x"}})

    assert calls == [Call("worker", "dynamodb", "GetItem", f"{TABLES}/t")]


def test_calls_outside_of_handlers_are_the_tests_own(session: Session, calls: list[Call]) -> None:
    session.client("dynamodb").get_item(TableName="t", Key={"pk": {"S": "x"}})

    assert calls == []


def test_a_presigned_url_is_noted_as_the_signers(session: Session, calls: list[Call]) -> None:
    with as_handler("orchestrator"):
        session.client("s3").generate_presigned_url("put_object", {"Bucket": "b", "Key": "k"})

    assert calls == [Call("orchestrator", "s3", "PutObject", "arn:aws:s3:::b/k", presigned=True)]
    assert {need.action for need in of_calls(calls)} == {"s3:PutObject"}


def test_a_transaction_is_noted_by_its_entries(session: Session, calls: list[Call]) -> None:
    key = {"pk": {"S": "x"}}
    check = {"TableName": "u", "Key": key, "ConditionExpression": "attribute_exists(pk)"}
    items: Any = ({"Put": {"TableName": "t", "Item": key}}, {"ConditionCheck": check})
    with as_handler("worker"):
        session.client("dynamodb").transact_write_items(TransactItems=items)
        session.client("dynamodb").batch_get_item(RequestItems={"t": {"Keys": [key]}})

    assert {(need.action, need.resource) for need in of_calls(calls)} == {
        ("dynamodb:PutItem", f"{TABLES}/t"),
        ("dynamodb:ConditionCheckItem", f"{TABLES}/u"),
        ("dynamodb:BatchGetItem", f"{TABLES}/t"),
    }


def test_a_builds_calls_are_the_build_roles() -> None:
    call = Call("build", "s3", "GetObject", "arn:aws:s3:::b/k")

    assert of_calls([call]) == {
        Need("codebuild", "s3:GetObject", "arn:aws:s3:::b/k", by="GetObject")
    }


@pytest.mark.parametrize(
    ("service", "params", "expected"),
    [
        ("s3", {"Bucket": "b"}, "arn:aws:s3:::b"),
        ("dynamodb", {"TableName": "t", "IndexName": "i"}, f"{TABLES}/t/index/i"),
        ("lambda", {"FunctionName": "f"}, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"),
        ("lambda", {"FunctionName": "arn:aws:lambda:x"}, "arn:aws:lambda:x"),
        ("ssm", {"Name": "/a/b"}, f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/a/b"),
        (
            "secretsmanager",
            {"SecretId": "a/b"},
            f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:a/b-??????",
        ),
        ("codebuild", {"projectName": "p"}, f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/p"),
        ("states", {"stateMachineArn": "arn:aws:states:x"}, "arn:aws:states:x"),
        ("s3", {}, "*"),
    ],
)
def test_a_resource_is_what_the_parameters_name(
    service: str, params: dict[str, str], expected: str
) -> None:
    assert resource(service, params, Place(REGION, ACCOUNT)) == expected


def test_a_resource_lies_in_the_regions_partition() -> None:
    place = Place("us-gov-west-1", ACCOUNT)

    assert resource("s3", {"Bucket": "b"}, place) == "arn:aws-us-gov:s3:::b"


def test_an_action_has_the_operations_name_or_a_row() -> None:
    assert action_of("s3", "GetObject") == "s3:GetObject"
    assert action_of("lambda", "Invoke") == "lambda:InvokeFunction"
    with pytest.raises(UnknownActionError, match="s3:MakeCoffee"):
        action_of("s3", "MakeCoffee")


def test_rows_are_for_what_the_data_set_lacks_and_name_its_actions() -> None:
    for operation, (action, page) in RENAMED.items():
        service = operation.partition(":")[0]
        assert operation not in actions.actions(service)
        assert action in actions.actions(service)
        assert page.startswith("https://docs.aws.amazon.com/")


def test_a_pattern_of_actions_is_what_the_service_has() -> None:
    assert {"dynamodb:GetItem", "dynamodb:DeleteTable"} <= {*expand("dynamodb:*")}
    assert expand("s3:GetObject") == ["s3:GetObject"]


def test_an_action_that_hands_a_role_over_is_known() -> None:
    assert actions.passes_role("lambda:CreateFunction")
    assert not actions.passes_role("lambda:InvokeFunction")
