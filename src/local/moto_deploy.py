"""Creates the described stack by AWS's own APIs, on moto or an endpoint that has them all."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, Final

from src.common.aws.clients import Clients
from src.local.stack import SETTINGS, WORKER, Key, Stack, Table

_RUNTIME: Final = "python3.12"


def deploy(stack: Stack, clients: Clients) -> None:
    """Create tables, buckets, roles, functions, the state machine and the build project."""
    for table in stack.tables.values():
        _create_table(clients, table)
    roles = _create_roles(stack, clients)
    for key in stack.functions:
        _create_function(stack, clients, key, roles[key])
    _create_buckets(stack, clients)
    clients.stepfunctions.create_state_machine(
        name=stack.state_machine,
        definition=json.dumps(stack.definition),
        roleArn=roles["watchdog"],
    )
    _create_project(stack, clients, roles["build"])


def put_secrets(
    clients: Clients, ssm: Mapping[str, str], secretsmanager: Mapping[str, str] | None = None
) -> None:
    """Store SSM SecureStrings by path and Secrets Manager secrets by name."""
    for path, value in ssm.items():
        clients.ssm.put_parameter(Name=path, Value=value, Type="SecureString", Overwrite=True)
    for name, value in (secretsmanager or {}).items():
        clients.secretsmanager.create_secret(Name=name, SecretString=value)


def _create_table(clients: Clients, table: Table) -> None:
    request: dict[str, Any] = {
        "TableName": table.name,
        "BillingMode": table.billing_mode,
        "KeySchema": _schema(table.hash_key, table.range_key),
        "AttributeDefinitions": [
            {"AttributeName": key.name, "AttributeType": key.type} for key in table.attributes
        ],
    }
    if table.indexes:
        request["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": _schema(index.hash_key, index.range_key),
                "Projection": {"ProjectionType": index.projection},
            }
            for index in table.indexes
        ]
    clients.dynamodb.create_table(**request)
    clients.dynamodb.update_time_to_live(
        TableName=table.name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl_attribute},
    )


def _schema(hash_key: Key, range_key: Key | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_key.name, "KeyType": "HASH"}]
    if range_key is not None:
        schema.append({"AttributeName": range_key.name, "KeyType": "RANGE"})
    return schema


def _create_roles(stack: Stack, clients: Clients) -> dict[str, str]:
    """Create one role per function, for builds and for the state machine; return ARNs by key.

    Without policies: no emulator of this kind proves what a role may do.
    """
    iam = clients.session.client("iam", endpoint_url=clients.endpoint)
    services = dict.fromkeys(stack.functions, "lambda") | {
        "watchdog": "states",
        "build": "codebuild",
    }
    arns = {}
    for key, service in services.items():
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": f"{service}.amazonaws.com"},
                }
            ],
        }
        role = iam.create_role(RoleName=stack.name(key), AssumeRolePolicyDocument=json.dumps(trust))
        arns[key] = role["Role"]["Arn"]
    return arns


def _create_function(stack: Stack, clients: Clients, key: str, role: str) -> None:
    function = stack.functions[key]
    clients.lambda_.create_function(
        FunctionName=function.name,
        Role=role,
        Runtime=_RUNTIME,
        Handler=function.command,
        Timeout=function.timeout,
        MemorySize=function.memory,
        EphemeralStorage={"Size": function.ephemeral_storage},
        Environment={"Variables": stack.environment(key)},
        Code={"ZipFile": _stub()},
    )


def _create_buckets(stack: Stack, clients: Clients) -> None:
    for bucket in stack.buckets.values():
        location: Any = {"LocationConstraint": stack.region}
        clients.s3.create_bucket(
            Bucket=bucket.name,
            # us-east-1 is the one region that may not be named.
            **({} if stack.region == "us-east-1" else {"CreateBucketConfiguration": location}),
        )
        clients.s3.put_bucket_lifecycle_configuration(
            Bucket=bucket.name,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "expire",
                        "Status": "Enabled",
                        "Filter": {"Prefix": ""},
                        "Expiration": {"Days": bucket.expire_days},
                    }
                ]
            },
        )
    rule = stack.notification
    filters: Any = [
        {"Name": "prefix", "Value": rule.prefix},
        {"Name": "suffix", "Value": rule.suffix},
    ]
    events: Any = list(rule.events)
    clients.s3.put_bucket_notification_configuration(
        Bucket=stack.buckets[rule.bucket].name,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [
                {
                    "LambdaFunctionArn": stack.function_arn(rule.function),
                    "Events": events,
                    "Filter": {"Key": {"FilterRules": filters}},
                }
            ]
        },
    )


def _create_project(stack: Stack, clients: Clients, role: str) -> None:
    project = stack.build_project
    variables = stack.environment(WORKER)
    environment: Any = {
        "type": project.environment_type,
        "computeType": project.compute_type,
        "image": "worker",
        "privilegedMode": project.privileged,
        "environmentVariables": [
            {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
        ],
    }
    clients.codebuild.create_project(
        name=project.name,
        source={"type": "NO_SOURCE", "location": "none"},  # moto wants a location
        artifacts={"type": "NO_ARTIFACTS"},
        environment=environment,
        serviceRole=role,
    )


def _stub() -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("handler.py", f"# stands for the image; handlers: {', '.join(SETTINGS)}\n")
    return body.getvalue()
