"""What has to be there before what: an apply would meet a name that nobody has made yet.

Names are built in locals, so a plan is the same whether a resource names another by its reference
or by its name; only the reference, or `depends_on`, makes terraform wait.
"""

from __future__ import annotations

import pytest

from tests.support.terraform.plugin import MakePlan
from tests.support.terraform.stages import BOOTSTRAP, DEPLOY, ECR

pytestmark = pytest.mark.plan

STATE = {"aws_s3_bucket.state"}
BUCKET = {"aws_s3_bucket.bucket"}
FUNCTION = {"aws_lambda_function.handler"}
ROLE = {"aws_iam_role.role"}
POLICY = {"aws_iam_role_policy.policy"}  # what runs at once fails on what its role may not do yet
LOG = {"aws_cloudwatch_log_group.log"}  # whoever comes first would make it, without retention
API = {"aws_apigatewayv2_api.webhook"}

WAITS_FOR = {
    BOOTSTRAP: {
        "aws_s3_bucket_public_access_block.state": STATE,
        "aws_s3_bucket_server_side_encryption_configuration.state": STATE,
        "aws_s3_bucket_versioning.state": STATE,
    },
    ECR: {"aws_ecr_lifecycle_policy.image": {"aws_ecr_repository.image"}},
    DEPLOY: {
        "aws_apigatewayv2_integration.process_webhook": API | FUNCTION,
        "aws_apigatewayv2_route.webhook": API | {"aws_apigatewayv2_integration.process_webhook"},
        "aws_apigatewayv2_stage.default": API | LOG,
        "aws_codebuild_project.worker": ROLE | POLICY | LOG,
        "aws_iam_role_policy.policy": ROLE,
        "aws_lambda_function.handler": ROLE | POLICY | LOG,
        # Lambda tries a destination before it takes it.
        "aws_lambda_function_event_invoke_config.handler": FUNCTION | {"aws_sqs_queue.failures"},
        "aws_lambda_function_event_invoke_config.worker": FUNCTION,
        "aws_lambda_function_recursion_config.orchestrator": FUNCTION,
        "aws_lambda_function_url.process_webhook": FUNCTION,
        "aws_lambda_permission.api": API | FUNCTION,
        "aws_lambda_permission.s3": FUNCTION,
        "aws_lambda_permission.sns": FUNCTION,
        "aws_s3_bucket_lifecycle_configuration.bucket": BUCKET,
        # S3 tries the permission before it takes the notification.
        "aws_s3_bucket_notification.internal": BUCKET | {"aws_lambda_permission.s3"},
        # S3 refuses two changes of one bucket's access at the same time.
        "aws_s3_bucket_policy.bucket": BUCKET | {"aws_s3_bucket_public_access_block.internal"},
        "aws_s3_bucket_public_access_block.internal": BUCKET,
        "aws_s3_bucket_server_side_encryption_configuration.bucket": BUCKET,
        "aws_sfn_state_machine.watchdog": ROLE | POLICY,
    },
}


@pytest.mark.parametrize(
    ("stage", "block"),
    [
        pytest.param(stage, block, marks=pytest.mark.stage(stage), id=f"{stage}-{block}")
        for stage, blocks in WAITS_FOR.items()
        for block in blocks
    ],
)
def test_a_resource_waits_for_what_it_needs(make_plan: MakePlan, stage: str, block: str) -> None:
    plan = make_plan(stage)

    what = f"{block} waits for"
    plan.hold(WAITS_FOR[stage][block], plan.waits_for[block], what, at=block)


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=pytest.mark.stage(stage)) for stage in WAITS_FOR]
)
def test_no_other_resource_waits(make_plan: MakePlan, stage: str) -> None:
    plan = make_plan(stage)

    waiting = {block for block, others in plan.waits_for.items() if others}
    plan.hold({*WAITS_FOR[stage]}, waiting, f"resources of {stage} that wait")
