"""P4.1 of the specification: 00-bootstrap, the bucket of the state. Sentence by sentence."""

from __future__ import annotations

import pytest

from tests.support.terraform.hcl import of_kind
from tests.support.terraform.plan import UNKNOWN, Plan
from tests.support.terraform.sentences import (
    BLOCK_ALL,
    hold_provider_region,
    hold_required_version,
    hold_variable,
)
from tests.support.terraform.stages import BOOTSTRAP

pytestmark = [pytest.mark.plan, pytest.mark.stage(BOOTSTRAP)]

BUCKET = "some-state"


def test_bootstrap_requires_terraform_1_5(plan: Plan) -> None:
    hold_required_version(plan)


def test_bootstrap_aws_provider_has_variable_region(plan: Plan) -> None:
    hold_provider_region(plan)


def test_bootstrap_bucket_is_named_by_the_variable(plan: Plan) -> None:
    plan.one("aws_s3_bucket").has(bucket=BUCKET)


def test_bootstrap_bucket_has_versioning_enabled(plan: Plan) -> None:
    plan.one("aws_s3_bucket_versioning").has(
        bucket=BUCKET, versioning_configuration__status="Enabled"
    )


def test_bootstrap_bucket_has_server_side_encryption_aes256(plan: Plan) -> None:
    encryption = plan.one("aws_s3_bucket_server_side_encryption_configuration")

    encryption.has(
        bucket=BUCKET, rule__apply_server_side_encryption_by_default__sse_algorithm="AES256"
    )


def test_bootstrap_bucket_blocks_all_public_access(plan: Plan) -> None:
    plan.one("aws_s3_bucket_public_access_block").has(bucket=BUCKET, **BLOCK_ALL)


def test_bootstrap_bucket_force_destroy_is_false(plan: Plan) -> None:
    plan.one("aws_s3_bucket").has(force_destroy=False)


def test_bootstrap_variable_state_bucket_name_is_a_required_string(plan: Plan) -> None:
    hold_variable(plan, "state_bucket_name")


def test_bootstrap_variable_aws_region_is_a_required_string(plan: Plan) -> None:
    hold_variable(plan, "aws_region")


def test_bootstrap_output_bucket_name(plan: Plan) -> None:
    plan.hold(BUCKET, plan.outputs["bucket_name"], "output bucket_name")


def test_bootstrap_output_bucket_arn(plan: Plan) -> None:
    plan.hold(UNKNOWN, plan.outputs["bucket_arn"], "output bucket_arn")
    arn = f"{plan.one('aws_s3_bucket').block}.arn"
    plan.includes({arn}, plan.output_refers("bucket_arn"), "output bucket_arn refers to")


def test_bootstrap_uses_local_state_only(plan: Plan) -> None:
    backends = [each.place for each in of_kind(plan.folder, "terraform") if "backend" in each.body]
    clouds = [each.place for each in of_kind(plan.folder, "terraform") if "cloud" in each.body]

    plan.hold([], backends + clouds, "backends of 00-bootstrap")


def test_bootstrap_has_no_remote_state(plan: Plan) -> None:
    plan.hold(frozenset(), plan.data, "data sources of 00-bootstrap, remote state among them")


def test_bootstrap_has_exactly_these_resources(plan: Plan) -> None:
    expected = {
        "aws_s3_bucket.state",
        "aws_s3_bucket_public_access_block.state",
        "aws_s3_bucket_server_side_encryption_configuration.state",
        "aws_s3_bucket_versioning.state",
    }

    plan.hold(expected, {*plan.resources}, "resources of 00-bootstrap")


def test_bootstrap_has_exactly_these_outputs(plan: Plan) -> None:
    plan.hold({"bucket_arn", "bucket_name"}, {*plan.outputs}, "outputs of 00-bootstrap")
