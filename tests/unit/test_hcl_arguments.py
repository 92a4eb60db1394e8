"""Resources set what the tests look at and nothing else: one line more is what nobody asked for.

The tests of the plan hold the values of these arguments. What is not set here AWS decides, or the
provider; an argument that is added belongs into this table together with the test of its value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.terraform.hcl import blocks, of_kind
from tests.support.terraform.stages import DEPLOY, INFRA, STAGES

pytestmark = pytest.mark.unit

ARGUMENTS = {
    "aws_apigatewayv2_api": "description name protocol_type",
    "aws_apigatewayv2_integration": (
        "api_id integration_type integration_uri payload_format_version"
    ),
    "aws_apigatewayv2_route": "api_id route_key target",
    "aws_apigatewayv2_stage": (
        "access_log_settings.destination_arn access_log_settings.format api_id auto_deploy "
        "default_route_settings.throttling_burst_limit "
        "default_route_settings.throttling_rate_limit name"
    ),
    "aws_cloudwatch_log_group": "for_each name retention_in_days",
    "aws_cloudwatch_metric_alarm": (
        "alarm_actions alarm_description alarm_name comparison_operator dimensions "
        "evaluation_periods for_each metric_name namespace period statistic threshold "
        "treat_missing_data"
    ),
    "aws_codebuild_project": (
        "artifacts.type build_timeout depends_on description environment.compute_type "
        "environment.environment_variable.content.name "
        "environment.environment_variable.content.value "
        "environment.environment_variable.for_each "
        "environment.image environment.image_pull_credentials_type environment.privileged_mode "
        "environment.type logs_config.cloudwatch_logs.group_name name queued_timeout service_role "
        "source.buildspec source.type"
    ),
    "aws_dynamodb_table": (
        "attribute.content.name attribute.content.type attribute.for_each billing_mode for_each "
        "global_secondary_index.content.hash_key global_secondary_index.content.name "
        "global_secondary_index.content.projection_type "
        "global_secondary_index.content.range_key global_secondary_index.for_each hash_key name "
        "range_key ttl.attribute_name ttl.enabled"
    ),
    "aws_ecr_lifecycle_policy": "policy repository",
    "aws_ecr_repository": "image_scanning_configuration.scan_on_push image_tag_mutability name",
    "aws_iam_role": "assume_role_policy for_each name permissions_boundary",
    "aws_iam_role_policy": "for_each name policy role",
    "aws_lambda_function": (
        "depends_on environment.variables ephemeral_storage.size for_each function_name "
        "image_config.command image_uri memory_size package_type role timeout"
    ),
    "aws_lambda_function_event_invoke_config": (
        "depends_on destination_config.on_failure.destination for_each function_name "
        "maximum_event_age_in_seconds maximum_retry_attempts"
    ),
    "aws_lambda_function_recursion_config": "function_name recursive_loop",
    "aws_lambda_function_url": "authorization_type function_name",
    "aws_lambda_permission": (
        "action for_each function_name principal source_account source_arn statement_id"
    ),
    "aws_s3_bucket": "bucket for_each force_destroy",
    "aws_s3_bucket_lifecycle_configuration": (
        "bucket for_each rule.abort_incomplete_multipart_upload.days_after_initiation "
        "rule.expiration.days rule.id rule.status"
    ),
    "aws_s3_bucket_notification": (
        "bucket depends_on lambda_function.events lambda_function.filter_prefix "
        "lambda_function.filter_suffix lambda_function.lambda_function_arn"
    ),
    "aws_s3_bucket_policy": "bucket depends_on for_each policy",
    "aws_s3_bucket_public_access_block": (
        "block_public_acls block_public_policy bucket ignore_public_acls restrict_public_buckets"
    ),
    "aws_s3_bucket_server_side_encryption_configuration": (
        "bucket for_each rule.apply_server_side_encryption_by_default.sse_algorithm"
    ),
    "aws_s3_bucket_versioning": "bucket versioning_configuration.status",
    "aws_sfn_state_machine": "definition depends_on name role_arn",
    "aws_sqs_queue": "message_retention_seconds name sqs_managed_sse_enabled",
}


def arguments(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the arguments of a body, those of nested blocks as `block.argument`."""
    for name, value in body.items():
        if name == "dynamic":  # a list of {label: block}
            yield from (each for block in value for each in arguments(block))
        elif is_block(value):
            nested = value if isinstance(value, list) else [value]
            yield from (f"{name}.{each}" for block in nested for each in arguments(block))
        elif not name.startswith("__"):
            yield name


def is_block(value: Any) -> bool:
    first = value[0] if isinstance(value, list) and value else value
    return isinstance(first, dict) and "__is_block__" in first


def test_resources_set_what_is_tested_and_no_more(stage: Path) -> None:
    more = {
        f"{block.place}: {'.'.join(block.labels)}: {argument}"
        for block in of_kind(stage, "resource")
        for argument in arguments(block.body)
        if argument not in ARGUMENTS.get(block.labels[0], "").split()
    }

    assert more == set()


def test_what_is_listed_here_is_set_somewhere() -> None:
    written = {
        (block.labels[0], argument)
        for stage in STAGES
        for block in of_kind(INFRA / stage, "resource")
        for argument in arguments(block.body)
    }

    listed = {(kind, each) for kind, names in ARGUMENTS.items() for each in names.split()}
    assert listed - written == set()


def test_the_provider_is_told_its_region_and_its_tags_alone(stage: Path) -> None:
    (provider,) = of_kind(stage, "provider")

    tags = {"default_tags.tags"} if stage.name == DEPLOY else set()
    assert {*arguments(provider.body)} == {"region"} | tags


def test_terraform_is_told_its_version_and_its_provider_alone(stage: Path) -> None:
    (terraform,) = of_kind(stage, "terraform")

    assert {*arguments(terraform.body)} == {"required_providers.aws", "required_version"}


def test_there_are_no_blocks_of_other_kinds(stage: Path) -> None:
    """No module, nor a `moved`, `removed`, `import`, `check` or `ephemeral` one."""
    kinds = {"data", "locals", "output", "provider", "resource", "terraform", "variable"}

    assert [each.place for each in blocks(stage) if each.kind not in kinds] == []
