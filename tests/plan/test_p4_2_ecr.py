"""P4.2 of the specification: 01-ecr, the repository of the image. Sentence by sentence."""

from __future__ import annotations

import pytest

from tests.support.terraform.hcl import of_kind
from tests.support.terraform.plan import UNKNOWN, Plan
from tests.support.terraform.sentences import (
    hold_provider_region,
    hold_required_version,
    hold_variable,
)
from tests.support.terraform.stages import ECR

pytestmark = [pytest.mark.plan, pytest.mark.stage(ECR)]


def test_ecr_requires_terraform_1_5(plan: Plan) -> None:
    hold_required_version(plan)


def test_ecr_aws_provider_has_variable_region(plan: Plan) -> None:
    hold_provider_region(plan)


def test_ecr_repository_is_iac_ci(plan: Plan) -> None:
    plan.one("aws_ecr_repository").has(name="iac-ci")


def test_ecr_image_scanning_on_push_is_enabled(plan: Plan) -> None:
    plan.one("aws_ecr_repository").has(image_scanning_configuration__scan_on_push=True)


def test_ecr_lifecycle_policy_keeps_the_last_10_images(plan: Plan) -> None:
    lifecycle = plan.one("aws_ecr_lifecycle_policy")

    lifecycle.has(repository="iac-ci")
    last_10 = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10}
    rules = lifecycle.json("policy")["rules"]
    got = [
        {name: rule.get(name) for name in ("rulePriority", "selection", "action")} for rule in rules
    ]
    expected = {"rulePriority": 1, "selection": last_10, "action": {"type": "expire"}}
    plan.hold([expected], got, "rules of the lifecycle policy", at=lifecycle)


def test_ecr_image_tag_mutability_is_mutable(plan: Plan) -> None:
    plan.one("aws_ecr_repository").has(image_tag_mutability="MUTABLE")


def test_ecr_variable_aws_region_is_a_string(plan: Plan) -> None:
    hold_variable(plan, "aws_region")


@pytest.mark.parametrize(
    ("output", "attribute"), [("ecr_repo_url", "repository_url"), ("ecr_repo_arn", "arn")]
)
def test_ecr_outputs_are_of_the_repository(plan: Plan, output: str, attribute: str) -> None:
    plan.hold(UNKNOWN, plan.outputs[output], f"output {output}")
    of_it = f"{plan.one('aws_ecr_repository').block}.{attribute}"
    plan.includes({of_it}, plan.output_refers(output), f"output {output} refers to")


def test_ecr_has_no_backend_of_its_own(plan: Plan) -> None:
    backends = [each.place for each in of_kind(plan.folder, "terraform") if "backend" in each.body]

    plan.hold([], backends, "backends of 01-ecr: scripts/generate_backend.sh writes it")


def test_ecr_plans_with_a_temporary_local_backend(plan: Plan) -> None:
    plan.check("2 to add, 0 to change, 0 to destroy" in plan.text, "terraform adds two")


def test_ecr_has_exactly_these_resources(plan: Plan) -> None:
    expected = {"aws_ecr_lifecycle_policy.image", "aws_ecr_repository.image"}

    plan.hold(expected, {*plan.resources}, "resources of 01-ecr")


def test_ecr_has_exactly_these_outputs(plan: Plan) -> None:
    plan.hold({"ecr_repo_arn", "ecr_repo_url"}, {*plan.outputs}, "outputs of 01-ecr")
