"""An AWS account behind an endpoint, as its root: clients, and what there is in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from boto3.session import Session
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.support import leaks

REPOSITORY: Final = "iac-ci"  # the one name of the stages that is fixed
KEY: Final = "test"  # of emulators; this never is a real account's


@dataclass(frozen=True)
class Account:
    """An account.

    Args:
        endpoint: its URL.
        ca: the certificate to trust; None: the machine's.
        region: where things are.
        secrets: where it is noted what is stored in it as a parameter or a secret, by any process.
    """

    endpoint: str
    ca: Path | None
    region: str
    secrets: Path | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes AWS's tools and libraries use it."""
        trust = {"AWS_CA_BUNDLE": str(self.ca)} if self.ca else {}
        return {
            **trust,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str) -> Any:
        """Return the root's client of a service."""
        return _client(self, service, KEY, KEY)

    def client_as(self, service: str, key: str, secret: str, *, new: bool = False) -> Any:
        """Return somebody's client of a service; a new one may be changed."""
        return (_client.__wrapped__ if new else _client)(self, service, key, secret)

    def watch(self, session: Session) -> None:
        """Note the secrets that the session's clients store."""
        if self.secrets is not None:
            leaks.watch(session.events, self._note)

    def _note(self, name: str, value: str) -> None:
        assert self.secrets is not None
        with self.secrets.open("a") as file:  # one write: processes do not mix
            file.write(json.dumps({"name": name, "value": value}) + "\n")

    def stored_secrets(self) -> list[leaks.Secret]:
        """Return each secret that was stored, those of JSON one by one."""
        if self.secrets is None or not self.secrets.exists():
            return []
        stored = map(json.loads, self.secrets.read_text().splitlines())
        return [each for one in stored for each in leaks.values(one["name"], one["value"])]

    def has_repository(self) -> bool:
        """Return whether the account has an image repository of that name."""
        return REPOSITORY in self._repositories()

    def repository_url(self) -> str:
        """Return the URL of that repository."""
        return str(self._repositories()[REPOSITORY])

    def _repositories(self) -> dict[str, str]:
        found = self.client("ecr").describe_repositories()["repositories"]
        return {each["repositoryName"]: each["repositoryUri"] for each in found}

    def empty_bucket(self, bucket: str) -> None:
        """Remove every object from a bucket, in every version; nothing if there is no such one."""
        s3 = self.client("s3")
        with _missing("NoSuchBucket"):
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                found = [
                    {"Key": each["Key"], "VersionId": each["VersionId"]}
                    for each in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                ]
                if found:
                    s3.delete_objects(Bucket=bucket, Delete={"Objects": found})

    def create_bucket(self, bucket: str) -> None:
        """Make a bucket."""
        here: Any = {"LocationConstraint": self.region}
        self.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=here)

    def delete_bucket(self, bucket: str) -> None:
        """Remove a bucket and all in it; nothing if there is no such one."""
        self.empty_bucket(bucket)
        with _missing("NoSuchBucket"):
            self.client("s3").delete_bucket(Bucket=bucket)

    def delete_parameter(self, name: str) -> None:
        """Remove an SSM parameter; nothing if there is no such one."""
        with _missing("ParameterNotFound"):
            self.client("ssm").delete_parameter(Name=name)

    def inventory(self) -> dict[str, list[str]]:
        """Return the names of all that there is, by service, of every kind that the stages make."""
        return {kind: sorted(names(self.client)) for kind, names in _LISTS.items()}


@contextmanager
def user(account: Account, *statements: Mapping[str, Any]) -> Iterator[Credentials]:
    """Make a user who may do what the statements say, and give out their key; then remove both."""
    iam, name = account.client("iam"), f"iac-ci-user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=policy)
    try:
        yield Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        if statements:
            iam.delete_user_policy(UserName=name, PolicyName=name)
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=name)


@contextmanager
def _missing(code: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


@cache
def _client(account: Account, service: str, key: str, secret: str) -> Any:
    session = Session(key, secret, region_name=account.region)
    account.watch(session)
    return session.client(  # type: ignore[call-overload]
        service,
        endpoint_url=account.endpoint,
        verify=str(account.ca) if account.ca else None,
        config=Config(
            signature_version="s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"},
            retries={"mode": "standard", "total_max_attempts": 5},
            max_pool_connections=32,
        ),
    )


def _names(service: str, operation: str, key: str, name: str = "") -> Callable[..., Iterator[str]]:
    """Return what lists the names that an operation answers with, page by page."""

    def names(client: Callable[[str], Any]) -> Iterator[str]:
        of = client(service)
        pages = (
            of.get_paginator(operation).paginate()
            if of.can_paginate(operation)
            else [getattr(of, operation)()]
        )
        for page in pages:
            yield from (each[name] if name else each for each in page.get(key, ()))

    return names


_LISTS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "apigatewayv2 apis": _names("apigatewayv2", "get_apis", "Items", "Name"),
    "cloudwatch alarms": _names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "codebuild projects": _names("codebuild", "list_projects", "projects"),
    "dynamodb tables": _names("dynamodb", "list_tables", "TableNames"),
    "ecr repositories": _names("ecr", "describe_repositories", "repositories", "repositoryName"),
    "iam roles": _names("iam", "list_roles", "Roles", "RoleName"),
    "iam policies": lambda client: (
        each["PolicyName"] for each in client("iam").list_policies(Scope="Local")["Policies"]
    ),
    "iam users": _names("iam", "list_users", "Users", "UserName"),
    "lambda functions": _names("lambda", "list_functions", "Functions", "FunctionName"),
    "logs groups": _names("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "s3 buckets": _names("s3", "list_buckets", "Buckets", "Name"),
    "secretsmanager secrets": _names("secretsmanager", "list_secrets", "SecretList", "Name"),
    "sns topics": _names("sns", "list_topics", "Topics", "TopicArn"),
    "sqs queues": _names("sqs", "list_queues", "QueueUrls"),
    "ssm parameters": _names("ssm", "describe_parameters", "Parameters", "Name"),
    "states machines": _names("stepfunctions", "list_state_machines", "stateMachines", "name"),
}
