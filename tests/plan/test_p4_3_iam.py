"""P4.3 of the specification: iam.tf. Sentence by sentence; the whole is in test_iam_statements.py.

A sentence names a service: the role's grants for that service are what it says, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.terraform.names import Grant, Names, allow, grants
from tests.support.terraform.plan import Plan
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]

OBJECTS = ("s3:GetObject", "s3:PutObject")


class Role:
    """A role's grants in the plan under test."""

    def __init__(self, plan: Plan, key: str) -> None:
        self.plan, self.names = plan, Names(plan.case)
        self.policy = plan.one("aws_iam_role_policy", role=self.names.of(key))
        plan.one("aws_iam_role", name=self.names.of(key))

    def may(self, *actions: str, on: Iterable[str]) -> None:
        """The role may do this in that service, and nothing else."""
        service = actions[0].split(":")[0]
        found = grants(self.policy.json("policy"))
        got = frozenset(each for each in found if each.action.startswith(f"{service}:"))
        self.plan.hold(allow(actions, on), got, f"{self.policy.address}: {service}", self.policy)


@pytest.fixture
def process_webhook(plan: Plan) -> Role:
    return Role(plan, "process_webhook")


@pytest.fixture
def orchestrator(plan: Plan) -> Role:
    return Role(plan, "orchestrator")


@pytest.fixture
def codebuild(plan: Plan) -> Role:
    return Role(plan, "codebuild")


def test_process_webhook_dynamodb_put_get_query_on_orders_and_order_events(
    process_webhook: Role, names: Names
) -> None:
    tables = [names.table("orders"), names.table("order_events")]
    actions = ("dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:Query")

    process_webhook.may(*actions, on=tables)


def test_process_webhook_s3_put_and_get_object_on_internal_bucket(
    process_webhook: Role, names: Names
) -> None:
    process_webhook.may(*OBJECTS, on=[names.bucket("internal", "/*")])


def test_process_webhook_ssm_get_parameter(process_webhook: Role, names: Names) -> None:
    paths = ("parameter/iac-ci/*", "parameter/iac-ci/webhook_secret")

    process_webhook.may("ssm:GetParameter", on=[names.arn("ssm", path) for path in paths])


def test_process_webhook_secrets_manager_get_secret_value(
    process_webhook: Role, names: Names
) -> None:
    secrets = names.arn("secretsmanager", "secret:iac-ci/*")

    process_webhook.may("secretsmanager:GetSecretValue", on=[secrets])


def test_process_webhook_lambda_invoke_function_on_itself(
    process_webhook: Role, names: Names
) -> None:
    process_webhook.may("lambda:InvokeFunction", on=[names.function("process_webhook")])


def test_orchestrator_dynamodb_full_access_on_all_3_tables(
    orchestrator: Role, names: Names
) -> None:
    tables = [names.table(key) for key in ("orders", "order_events", "orchestrator_locks")]

    orchestrator.may("dynamodb:*", on=tables)


def test_orchestrator_s3_get_and_put_object_on_internal_and_done_bucket(
    orchestrator: Role, names: Names
) -> None:
    orchestrator.may(*OBJECTS, on=[names.bucket("internal", "/*"), names.bucket("done", "/*")])


def test_orchestrator_lambda_invoke_function_on_worker(orchestrator: Role, names: Names) -> None:
    orchestrator.may("lambda:InvokeFunction", on=[names.function("worker")])


def test_orchestrator_codebuild_start_build(orchestrator: Role, names: Names) -> None:
    project = names.arn("codebuild", f"project/{names.of('worker')}")

    orchestrator.may("codebuild:StartBuild", on=[project])


def test_orchestrator_step_functions_start_execution(orchestrator: Role, names: Names) -> None:
    machine = names.arn("states", f"stateMachine:{names.of('watchdog')}")

    orchestrator.may("states:StartExecution", on=[machine])


def test_watchdog_check_s3_get_and_put_object_under_tmp_callbacks_runs_only(
    plan: Plan, names: Names
) -> None:
    callbacks = names.bucket("internal", "/tmp/callbacks/runs/*")

    Role(plan, "watchdog_check").may(*OBJECTS, on=[callbacks])


def test_worker_s3_get_object_under_tmp_exec_only(plan: Plan, names: Names) -> None:
    Role(plan, "worker").may("s3:GetObject", on=[names.bucket("internal", "/tmp/exec/*")])


def test_codebuild_ecr_pull_actions(plan: Plan, codebuild: Role, names: Names) -> None:
    image = names.repository
    pull = ("BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage")

    found = {each for each in grants(codebuild.policy.json("policy")) if "ecr:" in each.action}
    expected = allow([f"ecr:{action}" for action in pull], [image])
    token = Grant("Allow", "ecr:GetAuthorizationToken", "*")
    plan.hold(expected | {token}, found, "ecr grants of codebuild", at=codebuild.policy)


def test_codebuild_s3_get_object_under_tmp_exec_only(codebuild: Role, names: Names) -> None:
    codebuild.may("s3:GetObject", on=[names.bucket("internal", "/tmp/exec/*")])


def test_codebuild_cloudwatch_logs_create_group_stream_and_put_events(
    codebuild: Role, names: Names
) -> None:
    group = names.log_group(f"/aws/codebuild/{names.of('worker')}")
    actions = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")

    codebuild.may(*actions, on=[group, f"{group}:*"])
