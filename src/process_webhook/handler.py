"""Composition root of the process_webhook Lambda: adapters from settings, then the app."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final, TypeVar

from src.common import log
from src.common.aws.clients import default_clients
from src.common.aws.functions import LambdaPackager
from src.common.aws.objects import S3CodeStore, S3ObjectStore
from src.common.aws.runs import DynamoRunStore
from src.common.aws.secrets import AwsSecretSource
from src.common.clock import SystemClock
from src.common.comments import NoComments
from src.common.settings import ProcessWebhookSettings
from src.process_webhook.accept import Accept
from src.process_webhook.app import ProcessWebhook, WebhookSecret
from src.process_webhook.package import Package
from src.process_webhook.sources import CodeSources

UPLOADS_AT_ONCE: Final = 8

_T = TypeVar("_T")


def at_once(work: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Do the work on every item, several at a time; raises what the first failing one raised."""
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        for _ in pool.map(work, items):
            pass


@cache
def app() -> ProcessWebhook:
    """Build the app from the environment, once per process."""
    log.set_up("process_webhook")
    settings = ProcessWebhookSettings.from_env(os.environ)
    clients, clock = default_clients(), SystemClock()
    runs = DynamoRunStore(
        clients,
        orders_table=settings.orders_table,
        events_table=settings.order_events_table,
    )
    internal = S3ObjectStore(clients, bucket=settings.internal_bucket)
    secrets = AwsSecretSource(clients)
    code_store = S3CodeStore(clients)
    return ProcessWebhook(
        accept=Accept(
            runs=runs,
            internal=internal,
            packager=LambdaPackager(clients, function=settings.process_webhook_function),
            clock=clock,
            done_bucket=settings.done_bucket,
        ),
        package=Package(
            runs=runs,
            internal=internal,
            secrets=secrets,
            comments=NoComments(),
            clock=clock,
            sources=lambda job: CodeSources(job, code_store=code_store, secrets=secrets),
            each=at_once,
        ),
        webhook_secret=WebhookSecret(secrets, settings.webhook_secret_parameter, clock),
        require_freshness=settings.require_freshness,
        code_buckets=(settings.code_buckets or "").split(","),
    )


def handler(event: Mapping[str, Any], context: Any) -> Any:
    """Take a request, or package the run that our own invocation names."""
    return app()(event, context)
