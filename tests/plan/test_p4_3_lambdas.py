"""P4.3 of the specification: lambdas.tf. Sentence by sentence."""

from __future__ import annotations

import pytest

from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan, Resource
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]

FUNCTIONS = {"orchestrator", "process_webhook", "watchdog_check", "worker"}


def function(plan: Plan, key: str) -> Resource:
    return plan.one("aws_lambda_function", image_config__command=[f"src.{key}.handler.handler"])


def test_4_lambda_functions_all_of_package_type_image(deployment: Plan, names: Names) -> None:
    functions = deployment.by("aws_lambda_function", "function_name")

    deployment.hold({names.of(key) for key in FUNCTIONS}, {*functions}, "functions")
    for each in functions.values():
        each.has(package_type="Image")


def test_all_functions_have_the_same_image_uri_ecr_repo_and_image_tag(deployment: Plan) -> None:
    given = deployment.case.variables

    for each in deployment.all("aws_lambda_function"):
        each.has(image_uri=f"{given['ecr_repo']}:{given['image_tag']}")


def test_functions_have_different_commands(deployment: Plan, names: Names) -> None:
    for key in FUNCTIONS:
        function(deployment, key).has(function_name=names.of(key))


def test_process_webhook_command_timeout_300_memory_512(plan: Plan) -> None:
    function(plan, "process_webhook").has(timeout=300, memory_size=512)


def test_orchestrator_command_timeout_600_memory_512(plan: Plan) -> None:
    function(plan, "orchestrator").has(timeout=600, memory_size=512)


def test_watchdog_check_command_timeout_60_memory_256(plan: Plan) -> None:
    function(plan, "watchdog_check").has(timeout=60, memory_size=256)


def test_worker_command_timeout_600_memory_1024(plan: Plan) -> None:
    function(plan, "worker").has(timeout=600, memory_size=1024)


def test_each_function_has_the_role_of_its_own_name(plan: Plan) -> None:
    for each in plan.all("aws_lambda_function"):
        expected = {"aws_iam_role.role", "each.key"}
        plan.hold(expected, {*each.refers["role"]}, f"{each.address}: role", at=each)
        plan.check(f'aws_iam_role.role["{each.index}"]' in plan.resources, "has a role", at=each)


def test_environment_of_each_lambda_names_tables(deployment: Plan, names: Names) -> None:
    for each in deployment.all("aws_lambda_function"):
        each.has(
            environment__variables__IAC_CI_ORDERS_TABLE=names.of("orders"),
            environment__variables__IAC_CI_ORDER_EVENTS_TABLE=names.of("order_events"),
            environment__variables__IAC_CI_LOCKS_TABLE=names.of("orchestrator_locks"),
        )


def test_environment_of_each_lambda_names_buckets(deployment: Plan, names: Names) -> None:
    for each in deployment.all("aws_lambda_function"):
        each.has(
            environment__variables__IAC_CI_INTERNAL_BUCKET=names.of("internal"),
            environment__variables__IAC_CI_DONE_BUCKET=names.of("done"),
        )


def test_function_url_on_process_webhook(deployment: Plan, names: Names) -> None:
    url = deployment.one("aws_lambda_function_url")

    url.has(function_name=names.of("process_webhook"), authorization_type="AWS_IAM")
