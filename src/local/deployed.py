"""The boto3 adapters on a deployed stack, wherever the clients' endpoint is."""

from __future__ import annotations

from src.common.aws.clients import Clients
from src.common.aws.functions import (
    CodeBuilds,
    LambdaPackager,
    LambdaWorkers,
    StepFunctionsWatchdogs,
)
from src.common.aws.locks import DynamoLockStore
from src.common.aws.objects import S3CodeStore, S3ObjectStore
from src.common.aws.runs import DynamoRunStore
from src.common.aws.secrets import AwsSecretSource
from src.common.aws.uploads import HttpUploads
from src.common.ports import Clock
from src.local.platform import Adapters
from src.local.stack import PROCESS_WEBHOOK, WORKER, Stack


def deployed_adapters(clients: Clients, stack: Stack, clock: Clock) -> Adapters:
    """Return an adapter of every port on the tables, buckets and functions of a stack."""
    return Adapters(
        runs=DynamoRunStore(
            clients,
            orders_table=stack.tables["orders"].name,
            events_table=stack.tables["order_events"].name,
            locks_table=stack.tables["orchestrator_locks"].name,
        ),
        locks=DynamoLockStore(clients, locks_table=stack.tables["orchestrator_locks"].name),
        internal=S3ObjectStore(clients, bucket=stack.buckets["internal"].name),
        done=S3ObjectStore(clients, bucket=stack.buckets["done"].name),
        code=S3CodeStore(clients),
        packager=LambdaPackager(clients, function=stack.functions[PROCESS_WEBHOOK].name),
        workers=LambdaWorkers(clients, function=stack.functions[WORKER].name),
        builds=CodeBuilds(clients, project=stack.build_project.name),
        watchdogs=StepFunctionsWatchdogs(clients, state_machine_arn=stack.state_machine_arn),
        secrets=AwsSecretSource(clients),
        uploads=HttpUploads(),
        clock=clock,
    )
