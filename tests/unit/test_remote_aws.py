"""The client's calls: what they read, and what a refusal says that a policy has to grant."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from src.common.aws.clients import Clients
from src.common.errors import Permanent, Transient
from src.remote.aws import AwsStack
from src.remote.errors import Denied, NotNamed
from src.remote.target import PARTS, Target

pytestmark = pytest.mark.unit

ACCOUNT = "123456789012"
TARGET = Target(
    names={part: part.replace("_", "-") for part in PARTS}, region="eu-west-1", account=ACCOUNT
)


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield Clients(region="eu-west-1")


@pytest.fixture
def stack(clients: Clients) -> AwsStack:
    return AwsStack(TARGET, clients)


@pytest.fixture
def stubbed(clients: Clients) -> Iterator[Callable[[str], Stubber]]:
    active: list[Stubber] = []

    def stub(service: str) -> Stubber:
        stubber = Stubber(getattr(clients, service))
        stubber.activate()
        active.append(stubber)
        return stubber

    yield stub
    for stubber in active:
        stubber.deactivate()
        stubber.assert_no_pending_responses()


TABLES = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table"


@dataclass(frozen=True)
class Call:
    """One call of ours: the client's method, and what AWS has to allow."""

    service: str
    method: str
    make: Callable[[AwsStack], Any]
    action: str
    resource: str


CALLS: dict[str, Call] = {
    "run": Call(
        *("dynamodb", "get_item", lambda stack: stack.run("run-1")),
        *("dynamodb:GetItem", f"{TABLES}/orders-table"),
    ),
    "orders": Call(
        *("dynamodb", "batch_get_item", lambda stack: stack.orders("run-1", ["0001"])),
        *("dynamodb:BatchGetItem", f"{TABLES}/orders-table"),
    ),
    "trace": Call(
        *("dynamodb", "get_item", lambda stack: stack.trace("run-1")),
        *("dynamodb:GetItem", f"{TABLES}/events-table"),
    ),
    "events": Call(
        *("dynamodb", "query", lambda stack: stack.events("abcdef01")),
        *("dynamodb:Query", f"{TABLES}/events-table"),
    ),
    "job_events": Call(
        *("dynamodb", "query", lambda stack: next(stack.job_events())),
        *("dynamodb:Query", f"{TABLES}/events-table/index/order_name_index"),
    ),
    "done": Call(
        *("s3", "get_object", lambda stack: stack.done("run-1")),
        *("s3:GetObject", "arn:aws:s3:::done-bucket/run-1/done"),
    ),
    "result": Call(
        *("s3", "get_object", lambda stack: stack.result("run-1", "0001")),
        "s3:GetObject",
        "arn:aws:s3:::internal-bucket/tmp/callbacks/runs/run-1/0001/result.json",
    ),
    "lines": Call(
        *("logs", "filter_log_events", lambda s: next(s.lines("run-1", "", 0, builds=False))),
        "logs:FilterLogEvents",
        f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/lambda/worker-function",
    ),
    "lines of builds": Call(
        *("logs", "filter_log_events", lambda s: next(s.lines("run-1", "", 0, builds=True))),
        "logs:FilterLogEvents",
        f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/codebuild/build-project",
    ),
    "request": Call(
        *("s3", "get_object", lambda stack: stack.request("abc")),
        *("s3:GetObject", "arn:aws:s3:::internal-bucket/tmp/requests/abc.json"),
    ),
    "cancel": Call(
        *("s3", "put_object", lambda stack: stack.cancel("run-1")),
        "s3:PutObject",
        "arn:aws:s3:::internal-bucket/tmp/callbacks/runs/run-1/cancel/result.json",
    ),
    "parameter": Call(
        *("ssm", "get_parameter", lambda stack: stack.parameter("/iac-ci/webhook_secret")),
        *("ssm:GetParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/iac-ci/webhook_secret"),
    ),
    "invoke": Call(
        *("lambda_", "invoke", lambda stack: stack.invoke({})),
        *("lambda:InvokeFunction", f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:function"),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_denied_call_names_the_action_and_the_resource(
    stack: AwsStack, stubbed: Callable[[str], Stubber], name: str
) -> None:
    call = CALLS[name]
    code = "AccessDenied" if call.service == "s3" else "AccessDeniedException"
    stubbed(call.service).add_client_error(call.method, code, http_status_code=403)

    with pytest.raises(Denied, match=f"it needs {call.action} on {call.resource}") as error:
        call.make(stack)

    assert error.value.action == call.action


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("NoSuchKey", "not there"),
        ("AccessDenied", "User: x is not authorized to perform: s3:ListBucket on resource: y"),
    ],
)
def test_an_object_that_is_not_there_is_none_also_for_who_may_not_list(
    stack: AwsStack, stubbed: Callable[[str], Stubber], code: str, message: str
) -> None:
    stubbed("s3").add_client_error("get_object", code, message)

    assert stack.done("run-1") is None


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"parameter"}))
def test_a_call_without_the_name_of_its_part_asks_for_it(clients: Clients, name: str) -> None:
    with pytest.raises(NotNamed):
        CALLS[name].make(AwsStack(Target(), clients))


def test_rows_are_read_by_projection_and_what_was_left_out_is_asked_again(
    stack: AwsStack, stubbed: Callable[[str], Stubber]
) -> None:
    dynamodb = stubbed("dynamodb")
    row = {"num": {"S": "0001"}, "name": {"S": "plan"}, "status": {"S": "queued"}}
    key = {"pk": {"S": "run-1:0002"}}
    dynamodb.add_response(
        "batch_get_item",
        {
            "Responses": {"orders-table": [row]},
            "UnprocessedKeys": {"orders-table": {"Keys": [key]}},
        },
        {"RequestItems": ANY},
    )
    dynamodb.add_response(
        "batch_get_item",
        {"Responses": {"orders-table": [{**row, "num": {"S": "0002"}}]}},
        {
            "RequestItems": {
                "orders-table": {
                    "Keys": [key],
                    "ConsistentRead": True,
                    "ProjectionExpression": "#num, #name, #status, #use_lambda, #dispatched_at,"
                    " #started_at, #finished_at, #exit_code, #reason",
                    "ExpressionAttributeNames": ANY,
                }
            }
        },
    )

    assert set(stack.orders("run-1", ["0001", "0002"])) == {"0001", "0002"}


def test_events_come_in_pages(stack: AwsStack, stubbed: Callable[[str], Stubber]) -> None:
    def page(epoch: int) -> dict[str, Any]:
        texts = {"trace_id": "t", "run_id": "run-1", "order_name": "a", "event": "claimed"}
        item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
        numbers = {"epoch": {"N": str(epoch)}, "ttl": {"N": "1"}}
        return {"Items": [{**item, "status": {"S": "dispatching"}, **numbers}]}

    dynamodb = stubbed("dynamodb")
    start = {"pk": {"S": "t"}, "sk": {"S": "a"}}
    dynamodb.add_response("query", {**page(2), "LastEvaluatedKey": start})
    dynamodb.add_response("query", page(1))

    assert [event.epoch for event in stack.events("t")] == [1, 2]


def test_lines_of_one_order_are_asked_for_by_its_label_and_told_apart(
    stack: AwsStack, stubbed: Callable[[str], Stubber]
) -> None:
    def event(number: int, message: str) -> dict[str, Any]:
        return {"eventId": f"e{number}", "timestamp": number, "message": message}

    logs = stubbed("logs")
    asked = {
        "logGroupName": "/aws/lambda/worker-function",
        "startTime": 7,
        "filterPattern": '"run-1:0001| "',
    }
    first = [event(8, "run-1:0001| a\n"), event(9, '{"message": "run-1:0001| forged"}')]
    logs.add_response("filter_log_events", {"events": first, "nextToken": "more"}, asked)
    logs.add_response(
        "filter_log_events",
        {"events": [event(10, "run-1:0001| b")]},
        {**asked, "nextToken": "more"},
    )

    lines = list(stack.lines("run-1", "0001", 7, builds=False))

    assert [(line.id, line.at, line.num, line.text) for line in lines] == [
        ("e8", 8, "0001", "a"),
        ("e10", 10, "0001", "b"),
    ]


def test_a_log_group_that_is_not_there_has_no_lines(
    stack: AwsStack, stubbed: Callable[[str], Stubber]
) -> None:
    stubbed("logs").add_client_error("filter_log_events", "ResourceNotFoundException")

    assert list(stack.lines("run-1", "", 0, builds=True)) == []


def test_a_function_that_failed_is_told_with_its_own_words(
    stack: AwsStack, stubbed: Callable[[str], Stubber]
) -> None:
    def answer(text: bytes) -> StreamingBody:
        return StreamingBody(io.BytesIO(text), len(text))

    functions = stubbed("lambda_")
    functions.add_response(
        "invoke", {"FunctionError": "Unhandled", "Payload": answer(b'{"errorMessage": "boom"}')}
    )
    functions.add_response(
        "invoke", {"Payload": answer(b'{"statusCode": 400, "body": {"error": "x"}}')}
    )

    with pytest.raises(Transient, match="boom"):
        stack.invoke({})
    assert stack.invoke({}) == (400, {"error": "x"})


def test_requests_to_a_function_url_are_signed_for_lambda(stack: AwsStack) -> None:
    headers = stack.signed(
        "https://x.lambda-url.eu-west-1.on.aws/", b"{}", {"content-type": "application/json"}
    )

    assert "/eu-west-1/lambda/aws4_request" in headers["Authorization"]
    assert headers["content-type"] == "application/json"


def test_without_credentials_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(Permanent, match="no AWS credentials"):
        AwsStack(TARGET, Clients(region="eu-west-1")).signed("https://x", b"", {})
