"""What the boto3 adapters make of answers that only botocore's Stubber gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.stub import ANY, Stubber

from src.common.aws.clients import Clients
from src.common.aws.errors import Refusal, calling, translate
from src.common.aws.functions import CodeBuilds
from src.common.aws.items import decode, encode
from src.common.aws.locks import DynamoLockStore
from src.common.aws.objects import S3ObjectStore
from src.common.aws.runs import DynamoRunStore
from src.common.errors import Conflict, LockHeld, Permanent, Transient
from src.common.messages import Dispatch
from src.common.records import Change, Idempotency, Lock
from tests.support.build import NOW, a_run, an_order

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    """One set for the module: making a client costs more than what these tests do with it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield Clients(region="eu-west-1")


@pytest.fixture
def dynamodb(clients: Clients) -> Iterator[Stubber]:
    with Stubber(clients.dynamodb) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def runs(clients: Clients, pauses: list[float]) -> DynamoRunStore:
    return DynamoRunStore(
        clients,
        orders_table="orders",
        events_table="events",
        locks_table="locks",
        sleep=pauses.append,
    )


def client_error(code: str, status: int = 400, **more: Any) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "why"},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(answer, "Operation")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("ThrottlingException"), Transient),
        (client_error("ProvisionedThroughputExceededException"), Transient),
        (client_error("TooManyRequestsException", 429), Transient),
        (client_error("SomethingNew", 429), Transient),
        (client_error("SomethingNew", 500), Transient),
        (client_error("SlowDown", 503), Transient),
        (client_error("AccountLimitExceededException"), Transient),
        (client_error("ExpiredTokenException"), Transient),
        (client_error("AccessDeniedException"), Permanent),
        (client_error("ResourceNotFoundException"), Permanent),
        (client_error("ValidationException"), Permanent),
        (client_error("NoSuchBucket", 404), Permanent),
        (EndpointConnectionError(endpoint_url="https://x"), Transient),
        (ConnectionClosedError(endpoint_url="https://x"), Transient),
        (ReadTimeoutError(endpoint_url="https://x"), Transient),
        (NoCredentialsError(), Permanent),
        (ParamValidationError(report="x"), Permanent),
    ],
)
def test_trouble_is_transient_or_permanent_and_says_what_was_being_done(
    error: Exception, kind: type[Exception]
) -> None:
    doing = "fetching bundle of run-1:0003"

    with pytest.raises(kind, match=doing) as caught, calling(doing):
        raise error

    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["None", "ThrottlingError"], Transient),
        (["TransactionConflict", "ProvisionedThroughputExceeded"], Transient),
        (["ThrottlingError", "ValidationError"], Permanent),
        (["ItemCollectionSizeLimitExceeded"], Permanent),
    ],
)
def test_a_cancelled_transaction_is_as_lasting_as_its_worst_reason(
    codes: list[str], kind: type[Exception]
) -> None:
    reasons = [{"Code": code} for code in codes]
    error = client_error("TransactionCanceledException", CancellationReasons=reasons)

    assert type(translate(error, "committing run-1")) is kind


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "arn:x may not"}}, "Get"),
            "reading k: AccessDenied",
        ),
        (
            ClientError({"Error": {"Code": "SlowDown", "Message": "arn:x is busy"}}, "Get"),
            "reading k: SlowDown",
        ),
        (
            ClientError(
                {"Error": {"Code": "TransactionCanceledException", "Message": "arn:x"}}, "Write"
            ),
            "reading k: TransactionCanceledException",
        ),
        (
            EndpointConnectionError(endpoint_url="https://arn:x"),
            "reading k: EndpointConnectionError",
        ),
        (ParamValidationError(report="arn:x"), "reading k: ParamValidationError"),
    ],
)
def test_what_is_told_of_trouble_holds_none_of_the_services_own_words(
    error: Exception, told: str
) -> None:
    translated = translate(error, "reading k")

    assert translated is not None
    assert "arn:x" in str(translated)
    assert translated.told == told


def test_errors_of_our_own_pass_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), calling("dividing"):
        _ = 1 // 0
    with pytest.raises(Transient, match=r"^inner$"), calling("outer"):
        raise Transient("inner")


def test_an_expected_code_comes_back_as_a_refusal_with_its_item() -> None:
    error = client_error("ConditionalCheckFailedException", Item={"pk": {"S": "x"}})

    with pytest.raises(Refusal) as caught, calling("x", "ConditionalCheckFailedException"):
        raise error

    assert caught.value.item == {"pk": {"S": "x"}}


def test_items_round_trip_and_leave_out_what_is_absent() -> None:
    item = {
        "text": "ü💥",
        "empty": "",
        "number": -(10**20),
        "yes": True,
        "no": False,
        "list": ["a", 1, ["b"]],
        "map": {"x": {"y": 0}},
        "set": frozenset({"0001", "poke"}),
    }

    assert decode(encode({**item, "none": None, "nothing": frozenset()})) == item
    assert encode({"n": 7, "b": True}) == {"n": {"N": "7"}, "b": {"BOOL": True}}


def test_a_value_that_no_record_holds_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        encode({"x": 1.5})
    with pytest.raises(TypeError, match="NS"):
        decode({"x": {"NS": ["1"]}})


# -- DynamoDB -------------------------------------------------------------------------------------


def cancelled(stubber: Stubber, *reasons: dict[str, Any]) -> None:
    stubber.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields={"CancellationReasons": list(reasons)},
    )


FAILED = {"Code": "ConditionalCheckFailed"}
FINE = {"Code": "None"}
CLASH = {"Code": "TransactionConflict"}


def test_unprocessed_keys_are_asked_for_again(
    runs: DynamoRunStore, dynamodb: Stubber, pauses: list[float]
) -> None:
    rows = [an_order(1), an_order(2)]
    items = [encode({**row.to_item(), "pk": f"run-1:{row.num}"}) for row in rows]
    left = {"orders": {"Keys": [{"pk": {"S": "run-1:0002"}}], "ConsistentRead": True}}
    dynamodb.add_response(
        "batch_get_item", {"Responses": {"orders": items[:1]}, "UnprocessedKeys": left}
    )
    dynamodb.add_response(
        "batch_get_item", {"Responses": {"orders": items[1:]}}, {"RequestItems": left}
    )

    assert runs.orders("run-1", ["0001", "0002"]) == {row.num: row for row in rows}
    assert len(pauses) == 1


def test_keys_that_stay_unprocessed_are_transient(
    runs: DynamoRunStore, dynamodb: Stubber, pauses: list[float]
) -> None:
    left = {"orders": {"Keys": [{"pk": {"S": "run-1:0001"}}]}}
    for _ in range(5):
        dynamodb.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})

    with pytest.raises(Transient, match="1 keys"):
        runs.orders("run-1", ["0001"])

    assert len(pauses) == 4


def test_a_transaction_that_clashes_is_tried_again(
    runs: DynamoRunStore, dynamodb: Stubber, pauses: list[float]
) -> None:
    cancelled(dynamodb, CLASH)
    cancelled(dynamodb, CLASH)
    dynamodb.add_response("transact_write_items", {})

    runs.commit(Change(run=a_run()))

    assert len(pauses) == 2


def test_a_transaction_that_keeps_clashing_is_transient(
    runs: DynamoRunStore, dynamodb: Stubber
) -> None:
    for _ in range(5):
        cancelled(dynamodb, CLASH)

    with pytest.raises(Transient):
        runs.commit(Change(run=a_run()))


def test_a_throttled_transaction_is_transient_and_no_conflict(
    runs: DynamoRunStore, dynamodb: Stubber
) -> None:
    cancelled(dynamodb, {"Code": "ThrottlingError"})

    with pytest.raises(Transient, match="ThrottlingError"):
        runs.commit(Change(run=a_run()))


def test_a_refused_commit_reads_the_run_when_the_answer_lacks_it(
    runs: DynamoRunStore, dynamodb: Stubber
) -> None:
    run = a_run(rev=8, rev_by="me:8")
    stored = encode({**run.to_item(), "pk": run.run_id})
    thief = encode({**a_run(rev=8, rev_by="thief:8").to_item(), "pk": run.run_id})
    key = {"TableName": "orders", "Key": {"pk": {"S": run.run_id}}, "ConsistentRead": True}
    for item in (stored, thief):
        cancelled(dynamodb, FAILED)
        dynamodb.add_response("get_item", {"Item": item}, key)

    runs.commit(Change(run=run))
    with pytest.raises(Conflict):
        runs.commit(Change(run=run))


def test_a_refused_accept_reads_what_the_answer_lacks(
    runs: DynamoRunStore, dynamodb: Stubber
) -> None:
    run = a_run()
    record = Idempotency(
        digest="d", job_digest="j", run_id="run-0", trace_id="t", expires_at=NOW + 1, ttl=1
    )
    cancelled(dynamodb, FAILED, FAILED)
    dynamodb.add_response("get_item", {"Item": encode({**run.to_item(), "pk": run.run_id})})
    dynamodb.add_response(
        "get_item",
        {"Item": encode({**record.to_item(), "pk": "idem:d", "sk": "idem"})},
        {"TableName": "events", "Key": ANY, "ConsistentRead": True},
    )

    assert runs.accept(run, record, NOW) == (run, record)


def test_a_stored_record_that_vanished_meanwhile_is_none_in_force(
    runs: DynamoRunStore, dynamodb: Stubber
) -> None:
    ours = Idempotency(
        digest="d", job_digest="j", run_id="run-1", trace_id="t", expires_at=NOW + 1, ttl=1
    )
    cancelled(dynamodb, FINE, FAILED)
    dynamodb.add_response("get_item", {})

    assert runs.accept(a_run(), ours, NOW) == (None, ours)


def test_rows_of_many_bytes_are_split_over_transactions(
    runs: DynamoRunStore, dynamodb: Stubber
) -> None:
    rows = [an_order(n, name="x" * 200_000) for n in range(1, 31)]
    for _ in range(3):  # DynamoDB takes 4 MB at once
        dynamodb.add_response("transact_write_items", {})

    assert runs.add_orders(rows) == rows


def test_releasing_with_nothing_done_sends_no_empty_set(
    clients: Clients, dynamodb: Stubber
) -> None:
    dynamodb.add_response(
        "update_item",
        {"Attributes": encode(a_lock().to_item())},
        {
            "TableName": "locks",
            "Key": {"pk": {"S": "lock:run-1"}},
            "UpdateExpression": "REMOVE #owner, #lease",
            "ConditionExpression": "#owner = :owner AND #wake = :wake",
            "ExpressionAttributeNames": ANY,
            "ExpressionAttributeValues": {":owner": {"S": "me"}, ":wake": {"N": "3"}},
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    )

    assert DynamoLockStore(clients, locks_table="locks").release("run-1", "me", 3, frozenset())


def test_an_update_that_meets_a_transaction_is_tried_again(
    clients: Clients, dynamodb: Stubber, pauses: list[float]
) -> None:
    locks = DynamoLockStore(clients, locks_table="locks", sleep=pauses.append)
    for _ in range(2):
        dynamodb.add_client_error("update_item", "TransactionConflictException")
    dynamodb.add_response("update_item", {"Attributes": encode(a_lock(owner="me").to_item())})

    assert locks.take("run-1", "me", NOW, NOW + 45_000).owner == "me"
    assert len(pauses) == 2


def test_an_update_that_keeps_meeting_transactions_is_transient(
    clients: Clients, dynamodb: Stubber, pauses: list[float]
) -> None:
    locks = DynamoLockStore(clients, locks_table="locks", sleep=pauses.append)
    for _ in range(5):
        dynamodb.add_client_error("update_item", "TransactionConflictException")

    with pytest.raises(Transient, match="taking the lock of run-1: TransactionConflict"):
        locks.take("run-1", "me", NOW, NOW + 45_000)


def test_a_refused_take_reads_the_holder_when_the_answer_lacks_it(
    clients: Clients, dynamodb: Stubber
) -> None:
    held = a_lock(owner="thief", lease=NOW + 1)
    dynamodb.add_client_error("update_item", "ConditionalCheckFailedException")
    dynamodb.add_response("get_item", {"Item": encode({**held.to_item(), "pk": "lock:run-1"})})

    with pytest.raises(LockHeld) as caught:
        DynamoLockStore(clients, locks_table="locks").take("run-1", "me", NOW, NOW + 45_000)

    assert caught.value.lock == held


def a_lock(**fields: Any) -> Lock:
    return Lock(**{"run_id": "run-1", "trace_id": "t", "flow_id": "f", "ttl": 1, **fields})


# -- S3 and CodeBuild -----------------------------------------------------------------------------


def test_a_concurrent_conditional_write_is_repeated_until_it_is_known_who_won(
    clients: Clients, pauses: list[float]
) -> None:
    bucket = S3ObjectStore(clients, bucket="b", sleep=pauses.append)
    with Stubber(clients.s3) as s3:
        s3.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
        s3.add_client_error("put_object", "PreconditionFailed", http_status_code=412)

        assert bucket.put_new("k", b"") is False

        s3.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
        s3.add_response(
            "put_object", {}, {"Bucket": "b", "Key": "k", "Body": b"", "IfNoneMatch": "*"}
        )

        assert bucket.put_new("k", b"") is True
    assert len(pauses) == 2


@pytest.mark.parametrize(("code", "status"), [("AccessDenied", 403), ("NoSuchKey", 404)])
def test_missing_is_403_or_404(clients: Clients, code: str, status: int) -> None:
    with Stubber(clients.s3) as s3:
        s3.add_client_error("get_object", code, http_status_code=status)

        assert S3ObjectStore(clients, bucket="b").get("k") is None


def test_a_missing_bucket_is_no_missing_object(clients: Clients) -> None:
    with Stubber(clients.s3) as s3:
        s3.add_client_error("get_object", "NoSuchBucket", http_status_code=404)

        with pytest.raises(Permanent):
            S3ObjectStore(clients, bucket="b").get("k")


def test_a_url_is_presigned_with_sigv4_for_the_bucket_s_own_region(clients: Clients) -> None:
    url = S3ObjectStore(clients, bucket="b-1").presign_put_new("tmp/k", 90)

    assert url.startswith("https://b-1.s3.eu-west-1.amazonaws.com/tmp/k?")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert "X-Amz-Expires=90" in url
    assert "X-Amz-SignedHeaders=host%3Bif-none-match" in url
    assert "checksum" not in url.lower()


@pytest.mark.parametrize(
    ("message", "handed_over"),
    [
        ("Idempotency token was used with other parameters", True),
        ("Project source location is required", False),
    ],
)
def test_only_a_reused_token_counts_as_handed_over(
    clients: Clients, message: str, *, handed_over: bool
) -> None:
    dispatch = Dispatch(
        **dict.fromkeys(
            ("run_id", "trace_id", "num", "name", "token", "identity", "bundle_key", "stop_key"),
            "x",
        ),
        **dict.fromkeys(("claim_url", "claim_read_url", "result_url"), "https://x"),
        start_by=1,
        end_by=2,
        timeout=3,
    )
    with Stubber(clients.codebuild) as codebuild:
        codebuild.add_client_error("start_build", "InvalidInputException", message)
        builds = CodeBuilds(clients, project="p")

        if handed_over:
            builds.start(dispatch)
        else:
            with pytest.raises(Permanent, match=message):
                builds.start(dispatch)
