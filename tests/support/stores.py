"""All that lies in the stores of an account, as texts: what a reader of any of them could read.

Also what stores in memory hold, and which secrets were stored on moto.

Rows of tables; keys, headers, metadata and every version of objects; logs; inputs, outputs and
histories of executions; builds with their variables; messages of queues; settings of functions and
of build projects. Parameters and secrets are no part of it: they are where secrets belong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from src.common.aws.clients import Clients
from src.common.threads import map_at_once
from src.local.moto_world import MotoWorld
from src.local.platform import Adapters
from tests.support import leaks
from tests.support.leaks import BUCKETS, Secret, Text, leaves

if TYPE_CHECKING:
    from boto3.session import Session

AT_ONCE: Final = 8  # calls
_BUILDS: Final = 100  # that one call describes
_GONE: Final = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist")
_IDLE: Final = 3  # receptions without anything new, before a queue counts as read

MakeClient = Callable[[str], Any]
Mine = Callable[[str], bool]


def everything(client: MakeClient, mine: Mine = lambda _name: True) -> list[Text]:
    """Return what lies in every store whose name is `mine`."""
    jobs = [job for find in _FINDERS for job in find(client, mine)]
    return [text for texts in map_at_once(_done, jobs, AT_ONCE) for text in texts]


def clients_of(clients: Clients) -> MakeClient:
    """Return what gives the production clients, and others of their session."""
    return lambda service: (
        getattr(clients, {"lambda": "lambda_"}.get(service, service), None)
        or clients.session.client(service, endpoint_url=clients.endpoint)
    )


def in_memory(adapters: Adapters) -> list[Text]:
    """Return every row and object of the in-memory adapters."""
    stores: Any = adapters
    rows = [
        Text("table", name, str(at), repr(item))
        for name in ("runs", "locks")
        for at, item in enumerate(getattr(stores, name).everything())
    ]
    objects = [
        _text(BUCKETS, name, key, body)
        for name in ("internal", "done")
        for key, body in getattr(stores, name).everything().items()
    ]
    return [*rows, *objects]


@contextmanager
def secrets_on_moto() -> Iterator[list[Secret]]:
    """Keep every secret that the clients of worlds on moto store meanwhile."""
    found: list[Secret] = []

    def observe(session: Session) -> None:
        leaks.watch(session.events, lambda name, value: found.extend(leaks.values(name, value)))

    MotoWorld.observers.append(observe)
    try:
        yield found
    finally:
        MotoWorld.observers.remove(observe)


Job = Callable[[], list[Text]]


def _done(job: Job) -> list[Text]:
    with _unless_gone():
        return job()
    return []


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Tests go on meanwhile: what they remove after it was listed holds nothing."""
    try:
        yield
    except ClientError as error:
        if not _GONE.search(error.response["Error"]["Code"]):
            raise


def _text(kind: str, store: str, key: str, *items: Any) -> Text:
    return Text(kind, store, key, "\n".join([key, *leaves(items)]))


def _pages(client: Any, operation: str, field: str, **asked: Any) -> Iterator[Any]:
    with _unless_gone():
        if not client.can_paginate(operation):
            yield from getattr(client, operation)(**asked).get(field, ())
            return
        for page in client.get_paginator(operation).paginate(**asked):
            yield from page.get(field, ())


def _tables(client: MakeClient, mine: Mine) -> Iterator[Job]:
    dynamodb = client("dynamodb")

    def read(name: str) -> list[Text]:
        keys = [
            each["AttributeName"]
            for each in dynamodb.describe_table(TableName=name)["Table"]["KeySchema"]
        ]
        return [
            _text("table", name, " ".join(str(*row[key].values()) for key in keys), row)
            for row in _pages(dynamodb, "scan", "Items", TableName=name, ConsistentRead=True)
        ]

    for name in filter(mine, _pages(dynamodb, "list_tables", "TableNames")):
        yield partial(read, name)


def _buckets(client: MakeClient, mine: Mine) -> Iterator[Job]:
    s3 = client("s3")

    def read(name: str, version: Any) -> list[Text]:
        asked = {"Bucket": name, "Key": version["Key"]}
        if version.get("VersionId", "null") != "null":
            asked["VersionId"] = version["VersionId"]
        found = s3.get_object(**asked)
        body = found.pop("Body").read()
        return [_text(BUCKETS, name, version["Key"], found, body)]

    for bucket in s3.list_buckets()["Buckets"]:
        if mine(name := bucket["Name"]):
            for version in _pages(s3, "list_object_versions", "Versions", Bucket=name):
                yield partial(read, name, version)


def _logs(client: MakeClient, mine: Mine) -> Iterator[Job]:
    logs = client("logs")

    def read(name: str) -> list[Text]:
        streams: dict[str, list[str]] = {}
        for event in _pages(logs, "filter_log_events", "events", logGroupName=name):
            streams.setdefault(event["logStreamName"], []).append(event["message"])
        return [_text("log", name, stream, "\n".join(said)) for stream, said in streams.items()]

    for group in _pages(logs, "describe_log_groups", "logGroups"):
        if mine(group["logGroupName"]):
            yield partial(read, group["logGroupName"])


def _executions(client: MakeClient, mine: Mine) -> Iterator[Job]:
    states = client("stepfunctions")

    def read(machine: str, arn: str) -> list[Text]:
        described = states.describe_execution(executionArn=arn)
        history = list(_pages(states, "get_execution_history", "events", executionArn=arn))
        return [_text("state machine", machine, described["name"], described, history)]

    for machine in _pages(states, "list_state_machines", "stateMachines"):
        if mine(name := machine["name"]):
            arn = {"stateMachineArn": machine["stateMachineArn"]}
            for execution in _pages(states, "list_executions", "executions", **arn):
                yield partial(read, name, execution["executionArn"])


def _builds(client: MakeClient, mine: Mine) -> Iterator[Job]:
    codebuild = client("codebuild")

    def read(ids: list[str]) -> list[Text]:
        found = codebuild.batch_get_builds(ids=ids)["builds"]
        return [_text("build", build["projectName"], build["id"], build) for build in found]

    projects = [*filter(mine, _pages(codebuild, "list_projects", "projects"))]
    for name in projects:
        asked = {"projectName": name}
        ids = list(_pages(codebuild, "list_builds_for_project", "ids", **asked))
        for at in range(0, len(ids), _BUILDS):
            yield partial(read, ids[at : at + _BUILDS])
    for project in codebuild.batch_get_projects(names=projects)["projects"] if projects else ():
        yield partial(_settings, "build project", project["name"], project)


def _queues(client: MakeClient, mine: Mine) -> Iterator[Job]:
    sqs = client("sqs")

    def read(url: str) -> list[Text]:
        found: dict[str, Text] = {}
        idle = 0
        while idle < _IDLE:
            before = len(found)
            for message in sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=0,
                MessageAttributeNames=["All"],
            ).get("Messages", ()):
                key = message["MessageId"]
                found[key] = _text("queue", url.rpartition("/")[2], key, message)
            idle = 0 if len(found) > before else idle + 1
        return [*found.values()]

    for url in _pages(sqs, "list_queues", "QueueUrls"):
        if mine(url):
            yield partial(read, url)


def _functions(client: MakeClient, mine: Mine) -> Iterator[Job]:
    for function in _pages(client("lambda"), "list_functions", "Functions"):
        if mine(name := function["FunctionName"]):
            yield partial(_settings, "function", name, function)


def _settings(kind: str, name: str, found: Any) -> list[Text]:
    return [_text(kind, name, "settings", found)]


_FINDERS: Final[Iterable[Callable[[MakeClient, Mine], Iterator[Job]]]] = (
    _tables,
    _buckets,
    _logs,
    _executions,
    _builds,
    _queues,
    _functions,
)
