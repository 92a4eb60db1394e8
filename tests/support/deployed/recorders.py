"""Functions, a build project and a state machine that note what they are handed, in a bucket.

The contract of the ports asks what became of a hand-over. The deployed handlers would act on it, so
it goes to these instead: made beside the stack, as real as the stack's own, and removed afterwards.
"""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from src.common import codec
from src.common.aws.functions import (
    CodeBuilds,
    LambdaPackager,
    LambdaWorkers,
    StepFunctionsWatchdogs,
)
from src.common.keys import PACKAGE_RUN, PAYLOAD_VARIABLE
from src.common.messages import Dispatch, WatchdogInput
from src.local.platform import Adapters
from src.local.state_machine import watchdog_definition
from tests.support.deployed.account import Account
from tests.support.deployed.endpoint import EndpointSite

KINDS: Final = ("package", "worker", "build", "watchdog")
_LIMIT_S: Final = 60.0

# Given an event: where it is noted, and what the watchdog's state machine is answered.
_CODE: Final = """
import json, uuid
import boto3

def handler(event, context):
    key = f"recorded/{context.function_name}/{uuid.uuid4().hex}"
    boto3.client("s3").put_object(
        Bucket=__BUCKET__, Key=key, Body=json.dumps(event).encode())
    return {"done": True, "poked_at": None}
"""
_BUILDSPEC: Final = """
version: "0.2"
phases:
  build:
    commands:
      - >-
        python -c 'import boto3, os; boto3.client("s3").put_object(
        Bucket=os.environ["BUCKET"], Key=os.environ["KEY"] + os.environ["CODEBUILD_BUILD_ID"],
        Body=os.environ["IAC_CI_PAYLOAD"].encode())'
"""


@dataclass
class Recorders:
    """Where hand-overs go, and what came of them."""

    site: EndpointSite
    bucket: str
    name: str
    invoked: int = 0
    seen: set[str] = field(default_factory=set)

    @property
    def adapters(self) -> Adapters:
        """The site's ports, but for those that hand over."""
        clients, stack = self.site.clients, self.site.stack
        machine = f"arn:aws:states:{stack.region}:{stack.account}:stateMachine:{self.name}"
        return replace(
            self.site.adapters,
            packager=LambdaPackager(clients, function=self.of("package")),
            workers=LambdaWorkers(clients, function=self.of("worker")),
            builds=CodeBuilds(clients, project=self.name),
            watchdogs=StepFunctionsWatchdogs(clients, state_machine_arn=machine),
        )

    def of(self, kind: str) -> str:
        """Return the name of the function that notes a kind."""
        return f"iac-ci-{kind}-{self.name}"

    def handed_over(self) -> list[tuple[str, Any]]:
        """Return (kind, what) since it was last asked, kind by kind; AWS promises no order."""
        until = time.monotonic() + _LIMIT_S
        while not self._quiet():
            assert time.monotonic() < until, "what was handed over does not arrive"
            time.sleep(0.05)
        found = [self._read(key) for key in sorted(set(self._keys()) - self.seen)]
        self.seen.update(self._keys())
        return sorted(found, key=lambda each: (KINDS.index(each[0]), _num(each[1])))

    def _quiet(self) -> bool:
        codebuild, states = self.site.clients.codebuild, self.site.clients.stepfunctions
        builds = codebuild.list_builds_for_project(projectName=self.name)["ids"]
        if builds:
            found = codebuild.batch_get_builds(ids=builds)["builds"]
            if any(build["buildStatus"] == "IN_PROGRESS" for build in found):
                return False
        running = states.list_executions(
            stateMachineArn=self.adapters.watchdogs._arn,  # type: ignore[attr-defined]
            statusFilter="RUNNING",
        )["executions"]
        events = [key for key in self._keys() if "/iac-ci-package-" in key or "-worker-" in key]
        return not running and len(events) == self.invoked

    def _keys(self) -> list[str]:
        found = self.site.clients.s3.list_objects_v2(Bucket=self.bucket, Prefix="recorded/")
        mine = [each["Key"] for each in found.get("Contents", ())]
        return [key for key in mine if self.name in key]

    def _read(self, key: str) -> tuple[str, Any]:
        body = self.site.clients.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        kind = next(kind for kind in KINDS if f"iac-ci-{kind}-" in key)
        match kind:
            case "package":
                return kind, json.loads(body)[PACKAGE_RUN]
            case "worker":
                return kind, Dispatch.from_item(json.loads(body))
            case "build":
                return kind, Dispatch.from_item(codec.unpack(body.decode()))
            case _:
                return kind, WatchdogInput.from_item(json.loads(body))

    def count(self, **_: Any) -> None:
        """Note that a function was invoked."""
        self.invoked += 1


def _num(what: Any) -> str:
    return str(getattr(what, "num", what))


@contextmanager
def recorders(site: EndpointSite) -> Iterator[Recorders]:
    """Make them; remove them afterwards."""
    name = f"rec{uuid.uuid4().hex[:8]}"
    made = Recorders(site, site.applied.code_bucket, name)
    account = site.account
    with ExitStack() as then:
        role = _role(account, name, then)
        for kind in ("package", "worker", "watchdog"):
            _function(account, made.of(kind), role, made.bucket, then)
        _project(account, made, role, then)
        _machine(account, made, role, then)
        site.clients.lambda_.meta.events.register("before-call.lambda.Invoke", made.count)
        yield made


def _role(account: Account, name: str, then: ExitStack) -> str:
    iam = account.client("iam")
    services = [f"{each}.amazonaws.com" for each in ("lambda", "codebuild", "states")]
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": services},
    }
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
    then.callback(iam.delete_role, RoleName=name)
    may = {"Effect": "Allow", "Action": ["s3:PutObject", "lambda:InvokeFunction"], "Resource": "*"}
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=_policy(may))
    then.callback(iam.delete_role_policy, RoleName=name, PolicyName=name)
    return str(arn)


def _policy(statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _function(account: Account, name: str, role: str, bucket: str, then: ExitStack) -> None:
    lambda_, logs = account.client("lambda"), account.client("logs")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("recorder.py", _CODE.replace("__BUCKET__", repr(bucket)))
    lambda_.create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.12",
        Handler="recorder.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=30,
    )
    then.callback(_forget, logs.delete_log_group, logGroupName=f"/aws/lambda/{name}")
    then.callback(lambda_.delete_function, FunctionName=name)
    lambda_.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def _project(account: Account, made: Recorders, role: str, then: ExitStack) -> None:
    codebuild, logs = account.client("codebuild"), account.client("logs")
    variables = {
        "BUCKET": made.bucket,
        "KEY": f"recorded/{made.of('build')}/",
        PAYLOAD_VARIABLE: "none",
    }
    codebuild.create_project(
        name=made.name,
        serviceRole=role,
        source={"type": "NO_SOURCE", "buildspec": _BUILDSPEC},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "computeType": "BUILD_GENERAL1_SMALL",
            "image": "public.ecr.aws/lambda/python:3.12",
            "environmentVariables": [
                {"name": key, "value": value} for key, value in variables.items()
            ],
        },
    )
    then.callback(_forget, logs.delete_log_group, logGroupName=f"/aws/codebuild/{made.name}")
    then.callback(codebuild.delete_project, name=made.name)


def _machine(account: Account, made: Recorders, role: str, then: ExitStack) -> None:
    states, stack = account.client("stepfunctions"), made.site.stack
    arn = f"arn:aws:lambda:{stack.region}:{stack.account}:function:{made.of('watchdog')}"
    machine = states.create_state_machine(
        name=made.name, roleArn=role, definition=json.dumps(watchdog_definition(arn, 1))
    )
    then.callback(states.delete_state_machine, stateMachineArn=machine["stateMachineArn"])


def _forget(delete: Any, **what: str) -> None:
    """Remove a log group, which there is only if something was logged."""
    try:
        delete(**what)
    except delete.__self__.exceptions.ResourceNotFoundException:
        return
