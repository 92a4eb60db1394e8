"""What the stack consists of: one plain, typed description for local runs and tests.

A plan test holds it equal to what Terraform deploys, so it says what is there and nothing of how it
is made. It knows no AWS API.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from src.common.keys import CALLBACKS
from src.common.settings import (
    OrchestratorSettings,
    ProcessWebhookSettings,
    Settings,
    WatchdogCheckSettings,
    WorkerSettings,
    variable,
)
from src.local.state_machine import watchdog_definition

PROCESS_WEBHOOK: Final = "process_webhook"
ORCHESTRATOR: Final = "orchestrator"
WATCHDOG_CHECK: Final = "watchdog_check"
WORKER: Final = "worker"

WAIT_S: Final = 60  # between two turns of a watchdog


@dataclass(frozen=True, slots=True)
class Key:
    """A key attribute and its type: `S` or `N`."""

    name: str
    type: str = "S"


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index."""

    name: str
    hash_key: Key
    range_key: Key
    projection: str = "ALL"


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table."""

    key: str
    name: str
    hash_key: Key = Key("pk")
    range_key: Key | None = None
    indexes: tuple[Index, ...] = ()
    ttl_attribute: str = "ttl"
    billing_mode: str = "PAY_PER_REQUEST"

    @property
    def attributes(self) -> tuple[Key, ...]:
        """Every key attribute of table and indexes."""
        keys = [self.hash_key, self.range_key]
        for index in self.indexes:
            keys += [index.hash_key, index.range_key]
        return tuple(key for key in keys if key is not None)


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket; its objects are deleted after `expire_days`."""

    key: str
    name: str
    expire_days: int = 1


@dataclass(frozen=True, slots=True)
class Notification:
    """Which objects of a bucket wake which function (both by key)."""

    bucket: str
    function: str
    prefix: str
    suffix: str
    events: tuple[str, ...] = ("s3:ObjectCreated:*",)

    def matches(self, bucket: str, key: str) -> bool:
        """Return whether creating `key` in the bucket of key `bucket` wakes the function."""
        return bucket == self.bucket and key.startswith(self.prefix) and key.endswith(self.suffix)


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function; timeout in seconds, memory and ephemeral storage in MB."""

    key: str
    name: str
    command: str
    timeout: int
    memory: int
    ephemeral_storage: int = 512


@dataclass(frozen=True, slots=True)
class BuildProject:
    """The CodeBuild project that runs what a Lambda cannot."""

    name: str
    environment_type: str = "LINUX_CONTAINER"
    compute_type: str = "BUILD_GENERAL1_SMALL"
    privileged: bool = False


@dataclass(frozen=True)
class Stack:
    """The stack of one workspace, region and account."""

    workspace: str = "default"
    region: str = "eu-west-1"
    account: str = "123456789012"
    salt: str = ""
    webhook_secret_parameter: str = "/iac-ci/webhook_secret"  # noqa: S105 - a name
    require_freshness: bool = False
    code_buckets: tuple[str, ...] = ()
    wait_s: int = field(default=WAIT_S)

    @cached_property
    def hash(self) -> str:
        """Five hex digits that keep workspaces, regions and (by salt) accounts apart."""
        text = f"{self.workspace}{self.region}{self.salt}"
        return hashlib.sha256(text.encode()).hexdigest()[-5:]

    def name(self, key: str) -> str:
        """Return the name of the resource of that key."""
        return f"iac-ci-{key}-{self.hash}"

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The tables by key."""
        by_order_name = Index("order_name_index", Key("order_name"), Key("epoch", "N"))
        tables = (
            Table("orders", self.name("orders")),
            Table(
                "order_events",
                self.name("order_events"),
                range_key=Key("sk"),
                indexes=(by_order_name,),
            ),
            Table("orchestrator_locks", self.name("orchestrator_locks")),
        )
        return {table.key: table for table in tables}

    @cached_property
    def buckets(self) -> Mapping[str, Bucket]:
        """The buckets by key."""
        return {key: Bucket(key, self.name(key)) for key in ("internal", "done")}

    @property
    def notification(self) -> Notification:
        """What wakes the orchestrator."""
        return Notification("internal", ORCHESTRATOR, prefix=CALLBACKS, suffix="result.json")

    @cached_property
    def functions(self) -> Mapping[str, Function]:
        """The functions by key."""
        functions = (
            self._function(PROCESS_WEBHOOK, timeout=300, memory=512),
            self._function(ORCHESTRATOR, timeout=600, memory=512),
            self._function(WATCHDOG_CHECK, timeout=60, memory=256),
            self._function(WORKER, timeout=600, memory=1024, ephemeral_storage=2048),
        )
        return {function.key: function for function in functions}

    def _function(self, key: str, **limits: int) -> Function:
        return Function(key, self.name(key), f"src.{key}.handler.handler", **limits)

    @property
    def build_project(self) -> BuildProject:
        """The CodeBuild project."""
        return BuildProject(self.name(WORKER))

    def function_arn(self, key: str) -> str:
        """Return the ARN of a function."""
        name = self.functions[key].name
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"

    @property
    def state_machine(self) -> str:
        """The name of the watchdog state machine."""
        return self.name("watchdog")

    @property
    def state_machine_arn(self) -> str:
        """The ARN of the watchdog state machine."""
        return f"arn:aws:states:{self.region}:{self.account}:stateMachine:{self.state_machine}"

    @property
    def definition(self) -> dict[str, Any]:
        """The state machine in Amazon States Language."""
        return watchdog_definition(self.function_arn(WATCHDOG_CHECK), self.wait_s)

    def environment(self, key: str) -> dict[str, str]:
        """Return the variables of a handler (or of builds: the worker's), as its settings ask."""
        values: dict[str, str] = {
            "orders_table": self.tables["orders"].name,
            "order_events_table": self.tables["order_events"].name,
            "locks_table": self.tables["orchestrator_locks"].name,
            "internal_bucket": self.buckets["internal"].name,
            "done_bucket": self.buckets["done"].name,
            "process_webhook_function": self.functions[PROCESS_WEBHOOK].name,
            "webhook_secret_parameter": self.webhook_secret_parameter,
            "require_freshness": str(self.require_freshness).lower(),
            "code_buckets": ",".join(self.code_buckets),
            "worker_function": self.functions[WORKER].name,
            "state_machine_arn": self.state_machine_arn,
            "codebuild_project": self.build_project.name,
        }
        return {variable(name): values[name] for name in SETTINGS[key].model_fields}


SETTINGS: Final[Mapping[str, type[Settings]]] = {
    PROCESS_WEBHOOK: ProcessWebhookSettings,
    ORCHESTRATOR: OrchestratorSettings,
    WATCHDOG_CHECK: WatchdogCheckSettings,
    WORKER: WorkerSettings,
}
