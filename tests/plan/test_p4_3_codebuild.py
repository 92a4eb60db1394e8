"""P4.3 of the specification: codebuild.tf. Sentence by sentence."""

from __future__ import annotations

import pytest

from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]


def variables(plan: Plan) -> dict[str, str]:
    project = plan.one("aws_codebuild_project")
    given = project.values["environment"][0]["environment_variable"]
    return {each["name"]: each["value"] for each in given if each["type"] == "PLAINTEXT"}


def test_codebuild_environment_is_a_small_linux_container(deployment: Plan, names: Names) -> None:
    deployment.one("aws_codebuild_project").has(
        name=names.of("worker"),
        environment__type="LINUX_CONTAINER",
        environment__compute_type="BUILD_GENERAL1_SMALL",
    )


def test_codebuild_image_is_the_same_image_uri(deployment: Plan) -> None:
    images = {each["image_uri"] for each in deployment.all("aws_lambda_function")}

    project = deployment.one("aws_codebuild_project")
    deployment.hold(images, {project["environment.image"]}, "image of functions and builds")
    project.has(environment__image_pull_credentials_type="SERVICE_ROLE")  # it lies in ECR


def test_codebuild_privileged_mode_is_false(plan: Plan) -> None:
    plan.one("aws_codebuild_project").has(environment__privileged_mode=False)


def test_codebuild_environment_names_tables_and_buckets(deployment: Plan, names: Names) -> None:
    expected = {
        "IAC_CI_ORDERS_TABLE": names.of("orders"),
        "IAC_CI_ORDER_EVENTS_TABLE": names.of("order_events"),
        "IAC_CI_LOCKS_TABLE": names.of("orchestrator_locks"),
        "IAC_CI_INTERNAL_BUCKET": names.of("internal"),
        "IAC_CI_DONE_BUCKET": names.of("done"),
    }

    deployment.hold(expected, variables(deployment), "environment of builds")


def test_codebuild_uses_its_service_role(plan: Plan) -> None:
    project = plan.one("aws_codebuild_project")

    role = 'aws_iam_role.role["codebuild"].arn'
    plan.includes({role}, project.refers["service_role"], "service_role refers to", at=project)
