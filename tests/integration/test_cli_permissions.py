"""`iac-ci` as somebody whom IAM lets do some things and not others: on an AWS that enforces it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from src.common import keys
from src.common.aws.clients import Clients
from src.common.aws.objects import S3ObjectStore
from src.common.aws.runs import DynamoRunStore
from src.common.codec import encode
from src.common.messages import Result
from src.common.records import Event
from src.common.status import JobStatus, OrderStatus
from src.local import moto_deploy
from src.local.stack import Stack
from tests.support.build import NOW, a_run, an_order
from tests.support.embedded_aws.embedded import EmbeddedAws, Running
from tests.support.embedded_aws.options import Options
from tests.support.iam.developer import developer_policy
from tests.support.stack_server import outputs

pytestmark = pytest.mark.integration

IAC_CI = Path(sys.executable).parent / "iac-ci"
ENDS_IN = 60  # seconds: a bound on waiting, no measure
ROWS = "StatusButNeverWhatOpensBundles"
RUN, GOING = "run-ended", "run-going"
INTERNAL = "arn:aws:s3:::iac-ci-internal-HASH"
EVENTS = "arn:aws:dynamodb:REGION:ACCOUNT:table/iac-ci-order_events-HASH"

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("aws")
    with EmbeddedAws(Options(folder=folder)) as embedded:
        running = embedded.running
        with pytest.MonkeyPatch.context() as patch:
            for name, value in running.environment.items():
                patch.setenv(name, value)
            fill(Clients(region=running.region, endpoint=running.endpoint), stack_of(running))
            yield running


def stack_of(running: Running) -> Stack:
    return Stack(region=running.region, account=running.account)


def fill(clients: Clients, stack: Stack) -> None:
    """Make tables and buckets, with one run that has ended and one that goes on."""
    for table in stack.tables.values():
        moto_deploy._create_table(clients, table)
    for bucket in stack.buckets.values():
        clients.s3.create_bucket(
            Bucket=bucket.name,
            CreateBucketConfiguration={"LocationConstraint": stack.region},  # type: ignore[typeddict-item]
        )
    runs = DynamoRunStore(
        clients,
        orders_table=stack.tables["orders"].name,
        events_table=stack.tables["order_events"].name,
        locks_table=stack.tables["orchestrator_locks"].name,
    )
    ended = {"status": JobStatus.FAILED, "finished_at": NOW + 9, "counts": {"failed": 1}}
    for run_id, more in ((RUN, ended), (GOING, {"counts": {"queued": 1}})):
        row = an_order(1, run_id=run_id, name="plan")
        if more is ended:
            row = an_order(
                1, run_id=run_id, name="plan", status=OrderStatus.FAILED, dispatched_at=NOW
            )
        runs.add_orders([row])
        run = a_run(run_id=run_id, trace_id=run_id.encode().hex(), total=1, **more)
        table, item = stack.tables["orders"].name, {**run.to_item(), "pk": run_id}
        runs._orders.put(item, f"filling {table}")
        runs.record(
            Event(
                trace_id=run.trace_id,
                run_id=run_id,
                order_name=keys.JOB,
                epoch=NOW,
                event="accepted",
                status="running",
                ttl=NOW,
            )
        )
    internal = S3ObjectStore(clients, bucket=stack.buckets["internal"].name)
    result = Result(status=OrderStatus.FAILED, exit_code=1, log="what it printed\n")
    internal.put(keys.result_key(RUN, "0001"), encode(result.to_item()))
    internal.put(keys.bundle_key(RUN, "0001"), b"a bundle")


def user(aws: Running, name: str, *without: str) -> dict[str, str]:
    """Make somebody with the policy for developers, without some statements; return the keys."""
    policy = json.loads(developer_policy(stack_of(aws)))
    policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] not in without]
    policy["Statement"] += [
        # What is evaluated here sees no projection in a BatchGetItem, and denies the whole call.
        {"Effect": "Allow", "Action": "dynamodb:BatchGetItem", "Resource": one["Resource"]}
        for one in policy["Statement"]
        if one["Sid"] == ROWS
    ]
    iam = Clients(region=aws.region, endpoint=aws.endpoint).session.client(
        "iam", endpoint_url=aws.endpoint
    )
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
    }


def as_user(aws: Running, credentials: dict[str, str], tmp_path: Path, *args: str) -> Any:
    named = tmp_path / "outputs.json"
    named.write_text(json.dumps(outputs(stack_of(aws), "https://api/webhook")))
    env = {**os.environ, **credentials, "IAC_CI_STACK_OUTPUTS": str(named)}
    return subprocess.run(
        [IAC_CI, *args], capture_output=True, text=True, timeout=ENDS_IN, check=False, env=env
    )


def test_the_policy_for_developers_lets_every_command_do_its_work(
    aws: Running, tmp_path: Path
) -> None:
    credentials = user(aws, "developer")

    def does(*args: str) -> Any:
        return as_user(aws, credentials, tmp_path, *args)

    status = does("status", RUN, "--json")
    assert json.loads(status.stdout)["orders"]["plan"]["status"] == "failed", status.stderr
    assert does("wait", RUN).returncode == 1
    assert does("logs", RUN, "plan").stdout == "what it printed\n"
    assert [e["event"] for e in json.loads(does("events", RUN, "--json").stdout)["events"]] == [
        "accepted"
    ]
    assert {run["run_id"] for run in json.loads(does("runs", "--json").stdout)["runs"]} == {
        *(RUN, GOING)
    }
    assert does("cancel", GOING).returncode == 0
    assert "is not known" in does("status", "nobody").stderr


@pytest.mark.parametrize(
    ("without", "command", "needs"),
    [
        (
            ROWS,
            "status run-ended",
            "dynamodb:GetItem on arn:aws:dynamodb:REGION:ACCOUNT:table/iac-ci-orders-HASH",
        ),
        (
            "ResultsWithLogs",
            "logs run-ended",
            f"s3:GetObject on {INTERNAL}/tmp/callbacks/runs/run-ended/0001/result.json",
        ),
        (
            "EventsAndLatestRuns",
            "events run-ended",
            f"dynamodb:Query on {EVENTS}",
        ),
        (
            "EventsAndLatestRuns",
            "runs",
            f"dynamodb:Query on {EVENTS}/index/order_name_index",
        ),
        (
            "Cancel",
            "cancel run-going",
            f"s3:PutObject on {INTERNAL}/tmp/callbacks/runs/run-going/cancel/result.json",
        ),
        (
            "RequestsToRunAgain",
            "rerun run-ended",
            f"s3:GetObject on {INTERNAL}/tmp/requests/",
        ),
        (
            "SignWithTheWebhookSecret",
            "submit JOB --secret-parameter /iac-ci/webhook_secret",
            "ssm:GetParameter on arn:aws:ssm:REGION:ACCOUNT:parameter/iac-ci/webhook_secret",
        ),
        (
            "SubmitDirectly",
            "submit JOB --function F",
            "lambda:InvokeFunction on arn:aws:lambda:REGION:ACCOUNT:function:F",
        ),
    ],
)
def test_what_the_caller_lacks_is_named_with_its_resource(
    aws: Running, tmp_path: Path, without: str, command: str, needs: str
) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"username": "me", "orders": {}}))
    words = command.replace("JOB", str(tmp_path / "job.json")).split()
    somebody = user(aws, f"without-{without}-{words[0]}", without)

    done = as_user(aws, somebody, tmp_path, *words)

    stack = stack_of(aws)
    needs = needs.replace("REGION", stack.region).replace("ACCOUNT", stack.account)
    assert done.returncode == 2
    assert f"not allowed; it needs {needs.replace('HASH', stack.hash)}" in done.stderr


def test_what_opens_bundles_is_out_of_a_developers_reach(aws: Running) -> None:
    stack, somebody = stack_of(aws), user(aws, "curious")
    given = {
        "endpoint_url": aws.endpoint,
        "aws_access_key_id": somebody["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": somebody["AWS_SECRET_ACCESS_KEY"],
    }
    session = Clients(region=aws.region).session
    s3, dynamodb = session.client("s3", **given), session.client("dynamodb", **given)
    row: Any = {
        "TableName": stack.tables["orders"].name,
        "Key": {"pk": {"S": keys.row_key(RUN, "0001")}},
    }

    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=stack.buckets["internal"].name, Key=keys.bundle_key(RUN, "0001"))
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.get_item(**row)
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.get_item(
            **row, ProjectionExpression="#i", ExpressionAttributeNames={"#i": "identity"}
        )
    assert "Item" in dynamodb.get_item(**row, ProjectionExpression="num")
