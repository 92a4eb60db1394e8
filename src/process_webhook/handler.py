"""Composition root of the process_webhook Lambda: adapters from settings, then the app."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final, TypeVar

from src.common import budget, log
from src.common.aws.clients import default_clients
from src.common.aws.functions import LambdaPackager
from src.common.aws.objects import S3CodeStore, S3ObjectStore
from src.common.aws.runs import DynamoRunStore
from src.common.aws.secrets import AwsSecretSource
from src.common.clock import SystemClock
from src.common.comments.github import GitHubComments
from src.common.settings import ProcessWebhookSettings
from src.common.threads import map_at_once
from src.process_webhook.app import ProcessWebhook
from src.process_webhook.assemble import Policy, Ports, assemble

UPLOADS_AT_ONCE: Final = 8

_T = TypeVar("_T")


def at_once(work: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Do the work on every item, several at a time; raises what the first failing one raised."""
    map_at_once(work, items, UPLOADS_AT_ONCE)


@cache
def app() -> ProcessWebhook:
    """Build the app from the environment, once per process."""
    log.set_up("process_webhook")
    settings = ProcessWebhookSettings.from_env(os.environ)
    clients = default_clients()
    buckets = settings.code_buckets
    return assemble(
        Ports(
            runs=DynamoRunStore(
                clients,
                orders_table=settings.orders_table,
                events_table=settings.order_events_table,
                locks_table=settings.locks_table,
            ),
            internal=S3ObjectStore(clients, bucket=settings.internal_bucket),
            packager=LambdaPackager(clients, function=settings.process_webhook_function),
            code=S3CodeStore(clients),
            secrets=AwsSecretSource(clients),
            comments=GitHubComments(),
            clock=SystemClock(),
            each=at_once,
        ),
        Policy(
            internal_bucket=settings.internal_bucket,
            done_bucket=settings.done_bucket,
            webhook_secret_parameter=settings.webhook_secret_parameter,
            require_freshness=settings.require_freshness,
            code_buckets=buckets.split(",") if buckets else (),
        ),
    )


def handler(event: object, context: Any) -> Any:
    """Take a request, or package the run that our own invocation names."""
    with budget.of(context):
        return app()(event, context)
