"""What is deployed and what the code expects are the same, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from src.common.settings import Settings
from src.local.stack import SETTINGS, Notification, Stack
from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan, Resource
from tests.support.terraform.responder import ACCOUNT, partition
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]

HANDLERS = tuple(SETTINGS)


@pytest.fixture
def stack(deployment: Plan) -> Stack:
    """The described stack of the case that is planned."""
    case, given = deployment.case, deployment.case.variables
    optional = {
        name: given[name]
        for name in ("require_freshness", "webhook_secret_parameter")
        if name in given
    }
    code = tuple(arn.rsplit(":", 1)[1] for arn in given.get("code_bucket_arns", []))
    return Stack(
        workspace=case.workspace,
        region=case.region,
        account=ACCOUNT,
        salt=case.salt,
        code_buckets=code,
        **optional,
    )


def in_partition(value: Any, plan: Plan) -> Any:
    """The description is of the commercial partition; the plan's may be another."""
    here = f"arn:{partition(plan.case.region)}:"
    return json.loads(json.dumps(value).replace("arn:aws:", here))


def function(plan: Plan, key: str) -> Resource:
    return plan.one("aws_lambda_function", function_name=Names(plan.case).of(key))


@pytest.mark.parametrize("handler", HANDLERS)
def test_lambda_environment_is_what_the_handlers_settings_expect(
    deployment: Plan, handler: str
) -> None:
    resource = function(deployment, handler)
    given = resource["environment.variables"]

    expected = {f"IAC_CI_{field.upper()}" for field in SETTINGS[handler].model_fields}
    deployment.hold(expected, {*given}, f"environment of {handler}", at=resource)
    settings: Settings = SETTINGS[handler].from_env(given)
    assert settings.locks_table == Names(deployment.case).of("orchestrator_locks")


@pytest.mark.parametrize("handler", HANDLERS)
def test_lambda_environment_is_the_described_stacks(
    deployment: Plan, stack: Stack, handler: str
) -> None:
    resource = function(deployment, handler)

    expected = in_partition(stack.environment(handler), deployment)
    deployment.hold(expected, resource["environment.variables"], "environment", at=resource)


def test_environment_of_builds_is_the_worker_settings(deployment: Plan, stack: Stack) -> None:
    project = deployment.one("aws_codebuild_project")

    given = project.values["environment"][0]["environment_variable"]
    got = {each["name"]: each["value"] for each in given}
    deployment.hold(stack.environment("worker"), got, "environment of builds", at=project)


def test_tables_are_the_described_stacks(deployment: Plan, stack: Stack) -> None:
    def shape(table: Resource) -> dict[str, Any]:
        values = table.values
        return {
            "hash_key": values["hash_key"],
            "range_key": values["range_key"],
            "attributes": sorted((each["name"], each["type"]) for each in values["attribute"]),
            "indexes": [
                (each["name"], each["hash_key"], each["range_key"], each["projection_type"])
                for each in table.blocks("global_secondary_index")
            ],
            "ttl": table["ttl.attribute_name"],
            "billing": values["billing_mode"],
        }

    expected = {
        table.name: {
            "hash_key": table.hash_key.name,
            "range_key": table.range_key.name if table.range_key else None,
            "attributes": sorted((key.name, key.type) for key in table.attributes),
            "indexes": [
                (index.name, index.hash_key.name, index.range_key.name, index.projection)
                for index in table.indexes
            ],
            "ttl": table.ttl_attribute,
            "billing": table.billing_mode,
        }
        for table in stack.tables.values()
    }
    got = {name: shape(each) for name, each in deployment.by("aws_dynamodb_table", "name").items()}
    deployment.hold(expected, got, "tables")


def test_functions_are_the_described_stacks(deployment: Plan, stack: Stack) -> None:
    storage = deployment.case.variables.get("worker_ephemeral_storage_mb", 2048)
    expected = {
        each.name: {
            "command": [each.command],
            "timeout": each.timeout,
            "memory": each.memory,
            "storage": storage if key == "worker" else each.ephemeral_storage,
        }
        for key, each in stack.functions.items()
    }
    got = {
        name: {
            "command": each.values["image_config"][0]["command"],
            "timeout": each["timeout"],
            "memory": each["memory_size"],
            "storage": each["ephemeral_storage.size"],
        }
        for name, each in deployment.by("aws_lambda_function", "function_name").items()
    }

    deployment.hold(expected, got, "functions")
    assert stack.functions["worker"].ephemeral_storage == 2048


def test_buckets_are_the_described_stacks(deployment: Plan, stack: Stack) -> None:
    days = deployment.by("aws_s3_bucket_lifecycle_configuration", "bucket")

    expected = {bucket.name: bucket.expire_days for bucket in stack.buckets.values()}
    got = {
        name: days[name]["rule.expiration.days"]
        for name in deployment.by("aws_s3_bucket", "bucket")
    }
    deployment.hold(expected, got, "buckets and their days")


def test_notification_is_the_described_stacks(deployment: Plan, stack: Stack) -> None:
    rule = deployment.one("aws_s3_bucket_notification")
    functions = {in_partition(stack.function_arn(key), deployment): key for key in stack.functions}
    buckets = {bucket.name: key for key, bucket in stack.buckets.items()}

    got = Notification(
        bucket=buckets[rule["bucket"]],
        function=functions[rule["lambda_function.lambda_function_arn"]],
        prefix=rule["lambda_function.filter_prefix"],
        suffix=rule["lambda_function.filter_suffix"],
        events=tuple(rule.values["lambda_function"][0]["events"]),
    )
    deployment.hold(stack.notification, got, "notification", at=rule)


def test_state_machine_is_the_described_stacks(deployment: Plan, stack: Stack) -> None:
    machine = deployment.one("aws_sfn_state_machine")

    machine.has(name=stack.state_machine)
    expected = in_partition(stack.definition, deployment)
    deployment.hold(expected, machine.json("definition"), "definition", at=machine)


def test_build_project_is_the_described_stacks(deployment: Plan, stack: Stack) -> None:
    project = stack.build_project

    deployment.one("aws_codebuild_project").has(
        name=project.name,
        environment__type=project.environment_type,
        environment__compute_type=project.compute_type,
        environment__privileged_mode=project.privileged,
    )
