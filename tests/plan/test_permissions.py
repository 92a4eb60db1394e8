"""What no recorder sees: what AWS does in the roles, who takes them, who invokes the functions.

In each case of the stage. Recorded calls are compared in tests/integration/test_permissions.py.
"""

from __future__ import annotations

import pytest

from tests.support.iam import invokers, needs
from tests.support.iam.grants import roles
from tests.support.iam.judge import denials, granted_nothing
from tests.support.iam.needs import role_of
from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan
from tests.support.terraform.responder import ACCOUNT
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]

SERVICES = {
    "aws_codebuild_project": "codebuild.amazonaws.com",
    "aws_lambda_function": "lambda.amazonaws.com",
    "aws_sfn_state_machine": "states.amazonaws.com",
}
# What Lambda does not say when it takes a role, and the others do.
SAID = {"aws:SourceAccount": ACCOUNT}
NOT_SAID: dict[str, str] = {}


def test_what_lambda_step_functions_and_codebuild_do_in_a_role_is_granted(
    deployment: Plan, names: Names
) -> None:
    needed = needs.of_platform(deployment)

    asked = {(need.role, need.action) for need in needed}
    logs = {
        (role, action)
        for role in ("codebuild", "orchestrator", "process_webhook", "watchdog_check", "worker")
        for action in ("logs:CreateLogStream", "logs:PutLogEvents")
    }
    pull = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    expected = {
        *logs,
        *(("codebuild", f"ecr:{action}") for action in (*pull, "GetAuthorizationToken")),
        *((role, "sqs:SendMessage") for role in ("orchestrator", "process_webhook")),
        ("watchdog", "lambda:InvokeFunction"),
    }
    deployment.hold(expected, asked, "what AWS does in the roles")
    images = {need.resource for need in needed if need.action == "ecr:BatchGetImage"}
    deployment.hold({names.repository}, images, "what builds pull")
    deployment.hold([], denials(roles(deployment), needed, ()), "what AWS needs and may not")


def test_every_role_may_be_taken_by_the_one_service_that_it_is_given_to(deployment: Plan) -> None:
    users = [each for kind in SERVICES for each in deployment.all(kind)]

    found = roles(deployment)
    deployment.hold(sorted(found), sorted(map(role_of, users)), "roles that are given away")
    for user in users:
        role, own = found[role_of(user)], SERVICES[user.type]
        said = NOT_SAID if user.type == "aws_lambda_function" else SAID
        takers = {service for service in SERVICES.values() if role.may_be_assumed_by(service, said)}
        deployment.hold({own}, takers, f"who may take the role {role.key}", at=user)


def test_builds_and_watchdogs_of_other_accounts_may_not_take_a_role(deployment: Plan) -> None:
    found = roles(deployment)
    for kind in ("aws_codebuild_project", "aws_sfn_state_machine"):
        role = found[role_of(deployment.one(kind))]
        for context in ({"aws:SourceAccount": "210987654321"}, {}):
            taken = role.may_be_assumed_by(SERVICES[kind], context)
            deployment.check(not taken, f"{role.key} refuses {context or 'who does not say'}")


def test_no_role_may_pass_a_role_on(deployment: Plan) -> None:
    for role in roles(deployment).values():
        for action in ("iam:PassRole", "sts:AssumeRole"):
            nothing = granted_nothing(role.statements, action)
            deployment.check(nothing, f"{role.key} is not granted {action}")


def test_functions_are_open_to_who_is_set_up_to_invoke_them_and_to_nobody_else(
    deployment: Plan,
) -> None:
    expected = invokers.set_up(deployment)

    assert {each.service for each in expected} >= {invokers.API, invokers.S3}
    deployment.hold(expected, invokers.granted(deployment), "who may invoke functions")
