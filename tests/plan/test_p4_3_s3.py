"""P4.3 of the specification: s3.tf and s3_notifications.tf. Sentence by sentence."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan
from tests.support.terraform.responder import ACCOUNT
from tests.support.terraform.sentences import BLOCK_ALL
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]


def hold_expiry(plan: Plan, bucket: str) -> None:
    lifecycle = plan.one("aws_s3_bucket_lifecycle_configuration", bucket=bucket)
    plan.hold(1, len(lifecycle.values["rule"]), "rules of the lifecycle", at=lifecycle)
    lifecycle.has(rule__status="Enabled", rule__expiration__days=1)
    for narrower in ("prefix", "tag", "object_size_greater_than", "object_size_less_than"):
        plan.check(not lifecycle[f"rule.filter.{narrower}"], f"no {narrower}", at=lifecycle)


def hold_encryption(plan: Plan, bucket: str) -> None:
    encryption = plan.one("aws_s3_bucket_server_side_encryption_configuration", bucket=bucket)
    encryption.has(rule__apply_server_side_encryption_by_default__sse_algorithm="AES256")


def test_internal_bucket_deletes_objects_after_1_day(plan: Plan, names: Names) -> None:
    hold_expiry(plan, names.of("internal"))


def test_internal_bucket_blocks_all_public_access(plan: Plan, names: Names) -> None:
    plan.one("aws_s3_bucket_public_access_block", bucket=names.of("internal")).has(**BLOCK_ALL)


def test_internal_bucket_has_server_side_encryption(plan: Plan, names: Names) -> None:
    hold_encryption(plan, names.of("internal"))


def test_internal_bucket_force_destroy_is_true(plan: Plan, names: Names) -> None:
    plan.one("aws_s3_bucket", bucket=names.of("internal")).has(force_destroy=True)


def test_done_bucket_deletes_objects_after_1_day(plan: Plan, names: Names) -> None:
    hold_expiry(plan, names.of("done"))


def test_done_bucket_has_server_side_encryption(plan: Plan, names: Names) -> None:
    hold_encryption(plan, names.of("done"))


def test_done_bucket_force_destroy_is_true(plan: Plan, names: Names) -> None:
    plan.one("aws_s3_bucket", bucket=names.of("done")).has(force_destroy=True)


def bucket_hash(plan: Plan) -> str:
    """Recompute the hash from the specification's words; the salt is empty unless given."""
    case = plan.case
    text = f"{case.workspace}{case.region}{case.salt}"
    return hashlib.sha256(text.encode()).hexdigest()[-5:]


def test_bucket_naming_uses_sha256_of_workspace_and_region_last_5_chars(deployment: Plan) -> None:
    buckets = deployment.by("aws_s3_bucket", "bucket")

    deployment.hold(
        {bucket_hash(deployment)}, {name.rsplit("-", 1)[1] for name in buckets}, "hash of buckets"
    )


def test_internal_bucket_is_iac_ci_internal_hash(deployment: Plan) -> None:
    name = f"iac-ci-internal-{bucket_hash(deployment)}"

    deployment.includes({name}, deployment.by("aws_s3_bucket", "bucket"), "names of buckets")


def test_done_bucket_is_iac_ci_done_hash(deployment: Plan) -> None:
    name = f"iac-ci-done-{bucket_hash(deployment)}"

    deployment.includes({name}, deployment.by("aws_s3_bucket", "bucket"), "names of buckets")


def test_lambda_permission_allows_s3_to_invoke_orchestrator(deployment: Plan, names: Names) -> None:
    permission = deployment.one("aws_lambda_permission", principal="s3.amazonaws.com")

    permission.has(
        action="lambda:InvokeFunction",
        function_name=names.of("orchestrator"),
        source_arn=names.bucket("internal"),
        source_account=ACCOUNT,
    )


def test_bucket_notification_is_on_internal_bucket(deployment: Plan, names: Names) -> None:
    notification = deployment.one("aws_s3_bucket_notification")

    notification.has(bucket=names.of("internal"), eventbridge=False)
    deployment.hold(1, len(notification.values["lambda_function"]), "targets", at=notification)
    for other in ("queue", "topic"):
        deployment.hold([], notification.values[other], f"{other} targets", at=notification)


def test_notification_prefix_is_tmp_callbacks_runs(plan: Plan) -> None:
    notification = plan.one("aws_s3_bucket_notification")

    notification.has(lambda_function__filter_prefix="tmp/callbacks/runs/")


def test_notification_suffix_is_result_json(plan: Plan) -> None:
    plan.one("aws_s3_bucket_notification").has(lambda_function__filter_suffix="result.json")


def test_notification_events_are_s3_object_created(plan: Plan) -> None:
    notification = plan.one("aws_s3_bucket_notification")

    notification.has(lambda_function__events=["s3:ObjectCreated:*"])


def test_notification_targets_the_orchestrator_lambda_arn(deployment: Plan, names: Names) -> None:
    notification = deployment.one("aws_s3_bucket_notification")

    notification.has(lambda_function__lambda_function_arn=names.function("orchestrator"))
