"""P4.3 of the specification: 02-deploy's variables.tf, main.tf and outputs.tf."""

from __future__ import annotations

import pytest

from tests.support.terraform.names import Names
from tests.support.terraform.plan import UNKNOWN, Plan
from tests.support.terraform.sentences import (
    hold_provider_region,
    hold_required_version,
    hold_variable,
)
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]

FUNCTIONS = ("orchestrator", "process_webhook", "watchdog_check", "worker")
TABLES = ("order_events", "orchestrator_locks", "orders")
BUCKETS = ("done", "internal")


def test_deploy_variable_image_tag_is_a_string(plan: Plan) -> None:
    hold_variable(plan, "image_tag")


def test_deploy_variable_ecr_repo_is_a_string(plan: Plan) -> None:
    hold_variable(plan, "ecr_repo")


def test_deploy_variable_aws_region_is_a_string(plan: Plan) -> None:
    hold_variable(plan, "aws_region")


def test_deploy_requires_terraform_1_5(plan: Plan) -> None:
    hold_required_version(plan)


def test_deploy_aws_provider_has_variable_region(plan: Plan) -> None:
    hold_provider_region(plan)


def test_deploy_has_data_sources_for_current_account_id_and_region(plan: Plan) -> None:
    expected = {"data.aws_caller_identity.current", "data.aws_region.current"}

    plan.hold(frozenset(), expected - plan.data, "data sources that are not there")


def test_deploy_output_api_gateway_url_is_where_jobs_are_posted(plan: Plan) -> None:
    plan.hold(UNKNOWN, plan.outputs["api_gateway_url"], "output api_gateway_url")
    api = plan.one("aws_apigatewayv2_api").block
    written = plan.written("output", "api_gateway_url").body["value"]
    path = '${split(" ", local.route)[1]}'  # /webhook of "POST /webhook"
    plan.hold(f"${{{api}.api_endpoint}}{path}", written, "output api_gateway_url")


def test_deploy_output_api_gateway_id(plan: Plan) -> None:
    plan.hold(UNKNOWN, plan.outputs["api_gateway_id"], "output api_gateway_id")
    its_id = f"{plan.one('aws_apigatewayv2_api').block}.id"
    plan.includes({its_id}, plan.output_refers("api_gateway_id"), "api_gateway_id refers to")


def test_deploy_output_lambda_function_names_is_a_map(deployment: Plan, names: Names) -> None:
    expected = {key: names.of(key) for key in FUNCTIONS}

    deployment.hold(expected, deployment.outputs["lambda_function_names"], "lambda_function_names")


def test_deploy_output_lambda_function_arns_is_a_map(plan: Plan) -> None:
    output = "lambda_function_arns"

    plan.hold(dict.fromkeys(FUNCTIONS, UNKNOWN), plan.outputs[output], output)
    plan.hold({plan.all("aws_lambda_function")[0].block}, {*plan.output_refers(output)}, output)
    written = plan.written("output", output).body["value"]
    plan.check(written.endswith(".arn}}"), f"output {output} = {written}: it is of ARNs")


def test_deploy_output_dynamodb_table_names_is_a_map(deployment: Plan, names: Names) -> None:
    expected = {key: names.of(key) for key in TABLES}

    deployment.hold(expected, deployment.outputs["dynamodb_table_names"], "dynamodb_table_names")


def test_deploy_output_s3_bucket_names_is_a_map(deployment: Plan, names: Names) -> None:
    expected = {key: names.of(key) for key in BUCKETS}

    deployment.hold(expected, deployment.outputs["s3_bucket_names"], "s3_bucket_names")


def test_deploy_output_step_function_arn(plan: Plan) -> None:
    plan.hold(UNKNOWN, plan.outputs["step_function_arn"], "output step_function_arn")
    arn = f"{plan.one('aws_sfn_state_machine').block}.arn"
    plan.includes({arn}, plan.output_refers("step_function_arn"), "step_function_arn refers to")


def test_deploy_output_codebuild_project_name(deployment: Plan) -> None:
    project = deployment.one("aws_codebuild_project")

    got = deployment.outputs["codebuild_project_name"]
    deployment.hold(project["name"], got, "codebuild_project_name")


def test_deploy_has_exactly_these_outputs(plan: Plan) -> None:
    expected = {
        "api_gateway_id",
        "api_gateway_url",
        "codebuild_project_name",
        "dynamodb_table_names",
        "lambda_function_arns",
        "lambda_function_names",
        "s3_bucket_names",
        "step_function_arn",
    }

    plan.hold(expected, {*plan.outputs}, "outputs of 02-deploy")
