"""P4.4 of the specification: what is run on each stage, and what 02-deploy is verified for.

`terraform init` (with a local backend) and `terraform validate` are contained in the plan.
"""

from __future__ import annotations

import re

import pytest

from src.common.settings import Settings
from src.local.stack import SETTINGS
from tests.support.terraform.names import Names, grants
from tests.support.terraform.plan import Plan
from tests.support.terraform.planner import Planner
from tests.support.terraform.plugin import MakePlan
from tests.support.terraform.sentences import hold_no_warnings
from tests.support.terraform.stages import DEPLOY, STAGES, sources

pytestmark = pytest.mark.plan

EACH_STAGE = pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=pytest.mark.stage(stage)) for stage in STAGES]
)
OF_DEPLOY = pytest.mark.stage(DEPLOY)


@EACH_STAGE
def test_stage_runs_terraform_init_with_local_backend(make_plan: MakePlan, stage: str) -> None:
    plan = make_plan(stage)

    plan.check(plan.resources, "there are resources")


@EACH_STAGE
def test_stage_passes_terraform_validate_without_warnings(make_plan: MakePlan, stage: str) -> None:
    hold_no_warnings(make_plan(stage))


@EACH_STAGE
def test_stage_passes_terraform_fmt_check(planner: Planner, stage: str) -> None:
    changes = planner.bench.unformatted(sources(planner.infra / stage))

    assert changes == "", f"terraform fmt {planner.infra / stage}\n{changes}"


@OF_DEPLOY
def test_all_lambda_functions_reference_the_same_ecr_image_uri(deployment: Plan) -> None:
    images = {each["image_uri"] for each in deployment.all("aws_lambda_function")}

    given = deployment.case.variables
    deployment.hold({f"{given['ecr_repo']}:{given['image_tag']}"}, images, "images of functions")


@OF_DEPLOY
def test_all_iam_policies_have_resource_level_arns(deployment: Plan) -> None:
    arn = re.compile(r"arn:[a-z-]+:[a-z0-9]+:[a-z0-9-]*:[0-9]*:[^*].*")

    loose = {
        f"{policy.address}: {grant}"
        for policy in deployment.all("aws_iam_role_policy")
        for grant in grants(policy.json("policy"))
        if not arn.fullmatch(grant.resource) and grant.action != "ecr:GetAuthorizationToken"
    }
    deployment.hold(set(), loose, "grants without an ARN of their own")


@OF_DEPLOY
def test_all_dynamodb_tables_have_ttl_enabled(deployment: Plan) -> None:
    for table in deployment.all("aws_dynamodb_table"):
        table.has(ttl__enabled=True, ttl__attribute_name="ttl")


@OF_DEPLOY
def test_s3_lifecycle_rules_are_set_to_1_day(deployment: Plan) -> None:
    got = {
        each["bucket"]: each["rule.expiration.days"]
        for each in deployment.all("aws_s3_bucket_lifecycle_configuration")
    }

    expected = dict.fromkeys(deployment.by("aws_s3_bucket", "bucket"), 1)
    deployment.hold(expected, got, "days of lifecycle rules")


@OF_DEPLOY
def test_s3_event_notification_targets_orchestrator_lambda(deployment: Plan, names: Names) -> None:
    notification = deployment.one("aws_s3_bucket_notification")

    notification.has(lambda_function__lambda_function_arn=names.function("orchestrator"))


@OF_DEPLOY
def test_step_function_definition_is_valid_json(deployment: Plan) -> None:
    machine = deployment.one("aws_sfn_state_machine")

    deployment.includes({"StartAt", "States"}, machine.json("definition"), "definition", at=machine)


@OF_DEPLOY
@pytest.mark.parametrize("handler", SETTINGS)
def test_lambda_environment_variables_match_what_src_common_expects(
    deployment: Plan, names: Names, handler: str
) -> None:
    resource = deployment.one("aws_lambda_function", function_name=names.of(handler))

    settings = SETTINGS[handler].from_env(resource["environment.variables"])
    assert isinstance(settings, Settings)
    known = {f"IAC_CI_{field.upper()}" for field in SETTINGS[handler].model_fields}
    deployment.hold(known, {*resource["environment.variables"]}, "variables", at=resource)
