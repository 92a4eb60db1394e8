"""Composition root of the orchestrator Lambda: adapters from settings, then the app."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from src.common import budget, log
from src.common.aws.clients import default_clients
from src.common.aws.functions import CodeBuilds, LambdaWorkers, StepFunctionsWatchdogs
from src.common.aws.locks import DynamoLockStore
from src.common.aws.objects import S3ObjectStore
from src.common.aws.runs import DynamoRunStore
from src.common.clock import SystemClock
from src.common.comments.github import GitHubComments
from src.common.settings import OrchestratorSettings
from src.common.threads import map_at_once
from src.orchestrator.app import Orchestrator
from src.orchestrator.perform import Ports

AT_ONCE: Final = 16  # objects that are written side by side


@cache
def app() -> Orchestrator:
    """Build the app from the environment, once per process."""
    log.set_up("orchestrator")
    settings = OrchestratorSettings.from_env(os.environ)
    clients = default_clients()
    return Orchestrator(
        Ports(
            runs=DynamoRunStore(
                clients,
                orders_table=settings.orders_table,
                events_table=settings.order_events_table,
                locks_table=settings.locks_table,
            ),
            locks=DynamoLockStore(clients, locks_table=settings.locks_table),
            internal=S3ObjectStore(clients, bucket=settings.internal_bucket),
            done=S3ObjectStore(clients, bucket=settings.done_bucket),
            workers=LambdaWorkers(clients, function=settings.worker_function),
            builds=CodeBuilds(clients, project=settings.codebuild_project),
            watchdogs=StepFunctionsWatchdogs(clients, state_machine_arn=settings.state_machine_arn),
            comments=GitHubComments(),
            clock=SystemClock(),
            each=lambda work, items: map_at_once(work, items, AT_ONCE),
        )
    )


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Take an S3 event of callbacks."""
    with budget.of(context):
        return app()(event, context)
