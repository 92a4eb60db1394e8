"""Every grant of every role, both ways: nothing is missing and nothing is there beside.

In each case of the stage, so that names, partition and optional grants are held too.
"""

from __future__ import annotations

import pytest

from tests.support.terraform.names import Grant, Names, allow, grants
from tests.support.terraform.plan import Plan
from tests.support.terraform.responder import ACCOUNT
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]

SERVICES = {
    "codebuild": "codebuild",
    "orchestrator": "lambda",
    "process_webhook": "lambda",
    "watchdog": "states",
    "watchdog_check": "lambda",
    "worker": "lambda",
}
ROLES = tuple(SERVICES)
OBJECTS = ("s3:GetObject", "s3:PutObject")


def own_log(names: Names, key: str) -> frozenset[Grant]:
    """Addition: a function writes its own log and no other."""
    group = names.log_group(f"/aws/lambda/{names.of(key)}")
    return allow(["logs:CreateLogStream", "logs:PutLogEvents"], [f"{group}:*"])


def failures(names: Names) -> frozenset[Grant]:
    """Addition: the failure destination of asynchronous invocations."""
    return allow(["sqs:SendMessage"], [names.arn("sqs", names.of("failures"))])


def process_webhook(names: Names) -> frozenset[Grant]:
    given = names.case.variables
    prefix = given.get("secret_path_prefix", "iac-ci/")
    secret = given.get("webhook_secret_parameter", "/iac-ci/webhook_secret")
    tables = [names.table("orders"), names.table("order_events")]
    parameters = [f"parameter/{prefix}*", f"parameter{secret}"]
    secrets = names.arn("secretsmanager", f"secret:{prefix}*")
    code = given.get("code_bucket_arns", [])
    return (
        allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], tables)
        | allow(OBJECTS, [names.bucket("internal", "/*")])
        | allow(["ssm:GetParameter"], [names.arn("ssm", path) for path in parameters])
        | allow(["secretsmanager:GetSecretValue"], [secrets])
        | allow(["lambda:InvokeFunction"], [names.function("process_webhook")])
        | own_log(names, "process_webhook")
        | failures(names)
        | allow(["s3:GetObject"], [f"{bucket}/*" for bucket in code])  # addition
    )


def orchestrator(names: Names) -> frozenset[Grant]:
    tables = [names.table(key) for key in ("orders", "order_events", "orchestrator_locks")]
    project = names.arn("codebuild", f"project/{names.of('worker')}")
    machine = names.arn("states", f"stateMachine:{names.of('watchdog')}")
    return (
        allow(["dynamodb:*"], tables)
        | allow(OBJECTS, [names.bucket("internal", "/*"), names.bucket("done", "/*")])
        | allow(["lambda:InvokeFunction"], [names.function("worker")])
        | allow(["codebuild:StartBuild"], [project])
        | allow(["states:StartExecution"], [machine])
        | own_log(names, "orchestrator")
        | failures(names)
    )


def watchdog_check(names: Names) -> frozenset[Grant]:
    callbacks = names.bucket("internal", "/tmp/callbacks/runs/*")
    return allow(OBJECTS, [callbacks]) | own_log(names, "watchdog_check")


def worker(names: Names) -> frozenset[Grant]:
    bundles = names.bucket("internal", "/tmp/exec/*")
    return allow(["s3:GetObject"], [bundles]) | own_log(names, "worker")


def codebuild(names: Names) -> frozenset[Grant]:
    pull = ("BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage")
    image = names.repository
    group = names.log_group(f"/aws/codebuild/{names.of('worker')}")
    logs = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
    return (
        allow(["ecr:GetAuthorizationToken"], ["*"])
        | allow([f"ecr:{action}" for action in pull], [image])
        | allow(["s3:GetObject"], [names.bucket("internal", "/tmp/exec/*")])
        | allow(logs, [group, f"{group}:*"])
    )


def watchdog(names: Names) -> frozenset[Grant]:
    """Addition: the state machine's role."""
    return allow(["lambda:InvokeFunction"], [names.function("watchdog_check")])


EXPECTED = {
    "codebuild": codebuild,
    "orchestrator": orchestrator,
    "process_webhook": process_webhook,
    "watchdog": watchdog,
    "watchdog_check": watchdog_check,
    "worker": worker,
}


@pytest.mark.parametrize("role", ROLES)
def test_role_has_exactly_its_grants(deployment: Plan, names: Names, role: str) -> None:
    policy = deployment.one("aws_iam_role_policy", role=names.of(role))

    got = grants(policy.json("policy"))
    deployment.hold(EXPECTED[role](names), got, f"grants of {role}", at=policy)


def test_there_are_six_roles_with_one_policy_each(deployment: Plan, names: Names) -> None:
    expected = {names.of(role) for role in ROLES}

    deployment.hold(expected, {*deployment.by("aws_iam_role", "name")}, "roles")
    policies = [each["role"] for each in deployment.all("aws_iam_role_policy")]
    deployment.hold(sorted(expected), sorted(policies), "roles of policies")
    for policy in deployment.all("aws_iam_role_policy"):
        policy.has(name=policy["role"])
    others = {each.type for each in deployment.resources.values() if "iam" in each.type}
    deployment.hold({"aws_iam_role", "aws_iam_role_policy"}, others, "IAM resources")


@pytest.mark.parametrize("role", ROLES)
def test_trust_policy_names_one_service(deployment: Plan, names: Names, role: str) -> None:
    resource = deployment.one("aws_iam_role", name=names.of(role))
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": f"{SERVICES[role]}.amazonaws.com"},
    }
    if SERVICES[role] != "lambda":  # which does not say for whom it acts
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}

    got = resource.json("assume_role_policy")["Statement"]
    deployment.hold([statement], got, f"trust policy of {role}", at=resource)


def test_the_only_resource_that_is_everything_is_the_one_that_aws_forces(deployment: Plan) -> None:
    found = {
        (policy.index, grant.action)
        for policy in deployment.all("aws_iam_role_policy")
        for grant in grants(policy.json("policy"))
        if grant.resource == "*"
    }

    expected = {("codebuild", "ecr:GetAuthorizationToken")}
    deployment.hold(expected, found, "grants on every resource")


def test_the_only_wildcard_action_is_the_specifications_full_access(deployment: Plan) -> None:
    found = {
        (policy.index, grant.action)
        for policy in deployment.all("aws_iam_role_policy")
        for grant in grants(policy.json("policy"))
        if "*" in grant.action or "?" in grant.action or grant.action.startswith("Not")
    }

    deployment.hold({("orchestrator", "dynamodb:*")}, found, "wildcard actions")


def test_roles_are_bounded_where_a_boundary_is_given(deployment: Plan) -> None:
    for role in deployment.all("aws_iam_role"):
        role.has(permissions_boundary=deployment.case.variables.get("permissions_boundary"))


def test_policies_are_known_before_anything_is_made(deployment: Plan) -> None:
    for policy in deployment.all("aws_iam_role_policy"):
        version = policy.json("policy")["Version"]
        deployment.hold("2012-10-17", version, f"{policy.address}: version", at=policy)


def test_every_statement_of_a_policy_has_a_sid_of_its_own(deployment: Plan) -> None:
    """What is found in a policy is told by it, and `make iam-mutants` takes statements by it."""
    kinds = ("aws_iam_role_policy", "aws_s3_bucket_policy")
    for policy in [each for kind in kinds for each in deployment.all(kind)]:
        sids = [each.get("Sid", "") for each in policy.json("policy")["Statement"]]
        expected = sorted({*sids} - {""})
        deployment.hold(expected, sorted(sids), f"{policy.address}: sids", at=policy)
