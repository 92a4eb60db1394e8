"""What an endpoint cannot do, found out by trying it on the applied stack."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from src.local.stack import PROCESS_WEBHOOK
from tests.support.deployed.endpoint import EMBEDDED, EndpointSite

IAM: Final = "iam"
FUNCTIONS: Final = "functions"
BUILDS: Final = "builds"
PROCESSES: Final = "processes"

_BUILD_S: Final = 60.0


def lacking(site: EndpointSite) -> dict[str, str]:
    """Return the capabilities that the endpoint lacks, each with the reason."""
    found = {name: probe(site) for name, probe in _PROBES.items()}
    return {name: why for name, why in found.items() if why}


def _functions(site: EndpointSite) -> str | None:
    """Functions of images have to run: everything rests on it."""
    try:
        answer = site.invoke({})
    except (ClientError, BotoCoreError) as error:
        return f"invoking {PROCESS_WEBHOOK}: {error}"
    return None if answer.status == 400 else f"{PROCESS_WEBHOOK} answered {answer}"


def _iam(site: EndpointSite) -> str | None:
    """An access key that nobody has must be refused."""
    stranger = site.account.client_as("dynamodb", f"AKIA{uuid.uuid4().hex[:16].upper()}", "x")
    try:
        stranger.list_tables()
    except ClientError:
        return None
    return "IAM is not enforced"


def _builds(site: EndpointSite) -> str | None:
    """A build without a payload must run, and fail for that."""
    codebuild = site.clients.codebuild
    try:
        started = codebuild.start_build(projectName=site.stack.build_project.name)["build"]

        def status() -> str | None:
            build = codebuild.batch_get_builds(ids=[started["id"]])["builds"][0]
            now = build["buildStatus"]
            return None if now == "IN_PROGRESS" else str(now)

        ended = site.until(status, _BUILD_S)
    except (ClientError, BotoCoreError, AssertionError) as error:
        return f"a build does not run: {error}"
    return None if ended == "FAILED" else f"a build without a payload ended as {ended}"


def _processes(site: EndpointSite) -> str | None:
    """A worker can be killed where its process is one of this machine's."""
    return None if site.name == EMBEDDED else "its workers are no processes of this machine"


_PROBES: Final[Mapping[str, Callable[[EndpointSite], str | None]]] = {
    FUNCTIONS: _functions,
    IAM: _iam,
    BUILDS: _builds,
    PROCESSES: _processes,
}
