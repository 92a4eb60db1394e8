"""Every port at once, on one platform or another: what the contract suite runs against.

A `PortWorld` holds the adapters under test and the few means a test needs to see what became of a
call: what was handed over, and objects and secrets to start from.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from src.common.aws.clients import Clients
from src.common.clock import SystemClock
from src.common.messages import Dispatch, WatchdogInput
from src.local import memory
from src.local.calls import BUILD
from src.local.deployed import deployed_adapters
from src.local.moto_deploy import put_secrets
from src.local.moto_world import MotoWorld
from src.local.platform import Adapters
from src.local.stack import ORCHESTRATOR, PROCESS_WEBHOOK, WATCHDOG_CHECK, WORKER, Stack

if TYPE_CHECKING:  # it takes time, and is for who asks for an endpoint
    from tests.support.deployed.endpoint import EndpointSite

SSM = {"/iac-ci/token": "ghp_ü💥 with spaces"}
SECRETS = {"iac-ci/db": '{"user": "app", "password": "p\\u00e4ss"}'}
CODE_BUCKET = "somebody-elses-code"

HandedOver = tuple[str, Any]


@dataclass(frozen=True, kw_only=True)
class PortWorld(Adapters):
    """The ports on one platform. `handed_over` returns (kind, what) since it was last asked."""

    name: str
    put_code: Callable[[str, bytes], None]
    handed_over: Callable[[], list[HandedOver]]
    code_bucket: str = CODE_BUCKET
    ssm_values: Mapping[str, str] = field(default_factory=lambda: SSM)
    secret_values: Mapping[str, str] = field(default_factory=lambda: SECRETS)

    @classmethod
    def of(
        cls,
        adapters: Adapters,
        name: str,
        put_code: Callable[[str, bytes], None],
        handed_over: Callable[[], list[HandedOver]],
        **values: Any,
    ) -> Self:
        ports = {spec.name: getattr(adapters, spec.name) for spec in fields(Adapters)}
        return cls(**ports, name=name, put_code=put_code, handed_over=handed_over, **values)


def memory_ports() -> PortWorld:
    """Return the in-memory adapters."""
    seen: list[HandedOver] = []
    clock = SystemClock()
    buckets = memory.MemoryBuckets()
    locks = memory.MemoryLockStore()

    def handed_over() -> list[HandedOver]:
        taken = list(seen)
        seen.clear()
        return taken

    return PortWorld(
        name="memory",
        runs=memory.MemoryRunStore(locks),
        locks=locks,
        internal=buckets.bucket("internal", clock),
        done=buckets.bucket("done", clock),
        clock=clock,
        code=memory.MemoryCodeStore(buckets),
        packager=memory.MemoryPackager(lambda run_id: seen.append(("package", run_id))),
        workers=memory.MemoryWorkers(lambda dispatch: seen.append(("worker", dispatch))),
        builds=memory.MemoryBuilds(lambda dispatch: seen.append(("build", dispatch))),
        watchdogs=memory.MemoryWatchdogs(lambda _name, task: seen.append(("watchdog", task))),
        secrets=memory.MemorySecrets({**SSM, **SECRETS}),
        uploads=memory.MemoryUploads(buckets, clock),
        put_code=lambda key, body: buckets.put(CODE_BUCKET, key, body),
        handed_over=handed_over,
    )


def moto_ports(world: MotoWorld) -> PortWorld:
    """Return the boto3 adapters on a running moto world, whose handlers note what they get."""
    seen: list[HandedOver] = []
    s3 = world.clients.s3

    def check(event: dict[str, Any], _context: object) -> dict[str, Any]:
        seen.append(("watchdog", WatchdogInput.from_item(event)))
        return {"done": True, "poked_at": None}

    world.handlers = {
        PROCESS_WEBHOOK: lambda event, _: seen.append(("package", event["package_run"])),
        WORKER: lambda event, _: seen.append(("worker", Dispatch.from_item(event))),
        BUILD: lambda event, _: seen.append(("build", Dispatch.from_item(event))),
        WATCHDOG_CHECK: check,
        ORCHESTRATOR: lambda _event, _context: None,
    }

    def put_code(key: str, body: bytes) -> None:
        s3.put_object(Bucket=CODE_BUCKET, Key=key, Body=body)

    def handed_over() -> list[HandedOver]:
        world.drain()
        taken = list(seen)
        seen.clear()
        return taken

    return boto3_ports(world.clients, world.stack, "moto", put_code, handed_over)


def prepare(world: MotoWorld) -> None:
    """Store what the contract's tests read: secrets, and a bucket of somebody's code."""
    location: Any = {"LocationConstraint": world.stack.region}
    world.clients.s3.create_bucket(Bucket=CODE_BUCKET, CreateBucketConfiguration=location)
    put_secrets(world.clients, SSM, SECRETS)


@contextmanager
def endpoint_ports(site: EndpointSite) -> Iterator[PortWorld]:
    """Return the boto3 adapters on an applied stack; recorders note what is handed over."""
    from tests.support.deployed.recorders import recorders

    name = f"{site.secret_prefix}w{uuid.uuid4().hex[:8]}"
    ssm = {f"/{name}/token": SSM["/iac-ci/token"]}
    secrets = {f"{name}/db": SECRETS["iac-ci/db"]}
    bucket, s3 = site.applied.code_bucket, site.clients.s3
    put_secrets(site.clients, ssm, secrets)
    try:
        with recorders(site) as recording:
            yield PortWorld.of(
                recording.adapters,
                "endpoint",
                lambda key, body: s3.put_object(Bucket=bucket, Key=key, Body=body) and None,
                recording.handed_over,
                code_bucket=bucket,
                ssm_values=ssm,
                secret_values=secrets,
            )
    finally:
        _delete_odd_keys(s3, site.stack.buckets["internal"].name)
        for path in ssm:
            site.clients.ssm.delete_parameter(Name=path)
        for path in secrets:
            site.clients.secretsmanager.delete_secret(
                SecretId=path, ForceDeleteWithoutRecovery=True
            )


def _delete_odd_keys(s3: Any, bucket: str) -> None:
    """Delete what terraform could not: ministack reads its `+` as a blank (not boto3's)."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for each in page.get("Contents", ()):
            if "+" in each["Key"]:
                s3.delete_object(Bucket=bucket, Key=each["Key"])


def boto3_ports(
    clients: Clients,
    stack: Stack,
    name: str,
    put_code: Callable[[str, bytes], None],
    handed_over: Callable[[], list[HandedOver]],
) -> PortWorld:
    """Return the boto3 adapters on a deployed stack, wherever the clients' endpoint is."""
    return PortWorld.of(
        deployed_adapters(clients, stack, SystemClock()), name, put_code, handed_over
    )
