"""The applied stack with IAM enforced, and with one statement less.

Each statement of each role's policy is taken out in turn, by the API, and put back; the run that
makes use of all of them must fail meanwhile. What an emulator cannot enforce is listed, and is held
otherwise; a listed statement whose loss is noticed all the same is an entry too many.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from src.common import keys
from tests.support.deployed.endpoint import EndpointSite
from tests.support.deployed.site import job, order, request

ROLES: Final = (
    "codebuild", "orchestrator", "process_webhook", "watchdog", "watchdog_check", "worker",
)  # fmt: skip

_PARAMETER: Final = "of the parameter"  # in no command: what lies in clear is told (stores.py)
_SECRET: Final = "of the secret"
_PLATFORM: Final = (
    "AWS does it in the role's name, an emulator in its own; held by "
    "test_what_lambda_step_functions_and_codebuild_do_in_a_role_is_granted"
)
# Statements whose loss an emulator does not notice, by role (any: *) and sid, with the reason.
NOT_ENFORCED: Final[Mapping[tuple[str, str], str]] = {
    ("*", "OwnLog"): _PLATFORM,
    ("codebuild", "Image"): _PLATFORM,
    ("codebuild", "Registry"): _PLATFORM,
    ("orchestrator", "Failures"): _PLATFORM,
    ("process_webhook", "Failures"): _PLATFORM,
    ("watchdog", "Check"): _PLATFORM,
}


@dataclass(frozen=True)
class Lost:
    """A statement that is taken out of a role's policy."""

    role: str  # its key
    name: str  # of role and policy
    sid: str
    document: Mapping[str, Any]  # the whole policy

    def __str__(self) -> str:
        return f"{self.role} without {self.sid}"

    @property
    def reason(self) -> str:
        """Why its loss need not be noticed; empty: it has to be."""
        found = (NOT_ENFORCED.get((role, self.sid)) for role in (self.role, "*"))
        return next(filter(None, found), "")


def statements(site: EndpointSite) -> list[Lost]:
    """Return every statement of the policies of the applied stack's roles."""
    iam, found = site.account.client("iam"), []
    for role in ROLES:
        name = site.stack.name(role)
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            found += [Lost(role, name, one["Sid"], document) for one in document["Statement"]]
    return found


@contextmanager
def without(site: EndpointSite, lost: Lost) -> Iterator[None]:
    """Take a statement out of its policy while the block runs."""
    iam = site.account.client("iam")
    policy = {"RoleName": lost.name, "PolicyName": lost.name}
    left = [one for one in lost.document["Statement"] if one["Sid"] != lost.sid]
    if left:
        changed = json.dumps({**lost.document, "Statement": left})
        iam.put_role_policy(**policy, PolicyDocument=changed)
    else:
        iam.delete_role_policy(**policy)
    try:
        yield
    finally:
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(lost.document))
        _end_executions(site)


def _end_executions(site: EndpointSite) -> None:
    """Stop what still watches a run that cannot end any more."""
    states = site.account.client("stepfunctions")
    machine = {"stateMachineArn": site.stack.state_machine_arn, "statusFilter": "RUNNING"}
    for page in states.get_paginator("list_executions").paginate(**machine):
        for execution in page["executions"]:
            with suppress(states.exceptions.ClientError):
                states.stop_execution(executionArn=execution["executionArn"])


class Everything:
    """The run that makes use of every statement: secrets, code of a bucket, function and build."""

    def __init__(self, site: EndpointSite) -> None:
        self._site = site
        self._name = f"e{uuid.uuid4().hex[:8]}"
        self._code = f"s3://{site.applied.code_bucket}/{self._name}.zip"
        secret = f"{site.secret_prefix}{self._name}"
        self._parameter, self._secret = f"/{secret}/parameter", f"{secret}/secret"

    def __enter__(self) -> Self:
        account = self._site.account
        account.client("ssm").put_parameter(
            Name=self._parameter, Type="SecureString", Value=_PARAMETER
        )
        account.client("secretsmanager").create_secret(Name=self._secret, SecretString=_SECRET)
        account.client("s3").put_object(
            Bucket=self._site.applied.code_bucket, Key=f"{self._name}.zip", Body=_zip()
        )
        return self

    def __exit__(self, *_: object) -> None:
        account = self._site.account
        account.delete_parameter(self._parameter)
        account.client("secretsmanager").delete_secret(
            SecretId=self._secret, ForceDeleteWithoutRecovery=True
        )
        account.client("s3").delete_object(
            Bucket=self._site.applied.code_bucket, Key=f"{self._name}.zip"
        )

    def run(self, limit_s: float) -> None:
        """Run it, to the end of its last watchdog.

        Raises:
            AssertionError: something of it did not go as it should, or not in time.
        """
        site = self._site
        body = request(
            job(
                order("code", "cat said", s3_location=self._code),
                order(
                    "secrets",
                    f"test ${{#A}} = {len(_PARAMETER)} && test ${{#B}} = {len(_SECRET)}",
                    ssm_paths={"A": self._parameter},
                    secret_manager_paths={"B": self._secret},
                ),
                order("build", use_lambda=False, after=["code"]),
            )
        )
        answer = site.api(body, site.signature(body))
        assert answer.status == 200, f"the request was answered {answer.status}"
        finished = site.finished(answer.body["run_id"], limit_s)
        reasons = {name: each.get("reason") for name, each in finished.orders.items()}
        assert set(finished.statuses().values()) == {"succeeded"}, (
            f"the run {finished.status}: {finished.statuses()}, {reasons}"
        )
        site.until(lambda: self._watchdogs_ended(finished.run_id) or None, limit_s)

    def _watchdogs_ended(self, run_id: str) -> bool:
        watched = {keys.execution_name(run_id, f"{num:04}") for num in range(4)}
        pages = (
            self._site.account.client("stepfunctions")
            .get_paginator("list_executions")
            .paginate(stateMachineArn=self._site.stack.state_machine_arn)
        )
        found = {
            each["name"]: each["status"]
            for page in pages
            for each in page["executions"]
            if each["name"] in watched
        }
        return found == dict.fromkeys(watched, "SUCCEEDED")


def _zip() -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("said", "code of a bucket\n")
    return body.getvalue()
