"""What roles need: from the calls that were recorded, and from what AWS does with a role itself.

The second kind no recorder sees. Each of its rules stands here with the page that states it, and is
applied to the plan: the same comparison then holds grants and needs together, both ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from src.local.calls import BUILD
from tests.support.iam.actions import action_of, passes_role
from tests.support.iam.recorder import Call
from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan, Resource
from tests.support.terraform.responder import partition

_DOCS: Final = "https://docs.aws.amazon.com/"
OWN_LOG: Final = f"{_DOCS}lambda/latest/dg/monitoring-cloudwatchlogs.html"
DESTINATION: Final = f"{_DOCS}lambda/latest/dg/invocation-async-retain-records.html"
TASK: Final = f"{_DOCS}step-functions/latest/dg/connect-lambda.html"
BUILDS: Final = f"{_DOCS}codebuild/latest/userguide/setting-up-service-role.html"
PULL: Final = f"{_DOCS}codebuild/latest/userguide/sample-ecr.html"

_PULLING: Final = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
_ROLE: Final = re.compile(r'aws_iam_role\.role\["(\w+)"\]')


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A role has to be allowed an action on a resource; `by` says who or what demands it."""

    role: str
    action: str
    resource: str
    by: str


def of_calls(calls: Iterable[Call]) -> set[Need]:
    """Return what the handlers' calls need."""
    return {
        Need(
            role="codebuild" if call.handler == BUILD else call.handler,
            action=action_of(call.service, call.operation),
            resource=call.resource,
            by=f"{call.operation}, presigned" if call.presigned else call.operation,
        )
        for call in calls
    }


def of_platform(plan: Plan) -> set[Need]:
    """Return what Lambda, Step Functions and CodeBuild do in the plan's roles."""
    names = Names(plan.case)
    return {
        *_logs_of_functions(plan, names),
        *_failure_destinations(plan),
        *_tasks(plan),
        *_builds(plan, names),
    }


def role_of(resource: Resource) -> str:
    """Return the key of the role that a resource is given."""
    arguments = ("role", "role_arn", "service_role")
    refers = next(resource.refers[name] for name in arguments if name in resource.refers)
    if "each.key" in refers:
        return str(resource.index)
    return next(found[1] for each in refers if (found := _ROLE.match(each)))


def may_pass_roles(calls: Iterable[Call]) -> list[str]:
    """Return the called actions that can hand a role over, and so might need `iam:PassRole`."""
    actions = {action_of(call.service, call.operation) for call in calls}
    return sorted(action for action in actions if passes_role(action))


def _logs_of_functions(plan: Plan, names: Names) -> Iterator[Need]:
    for function in plan.all("aws_lambda_function"):
        group = names.log_group(f"/aws/lambda/{function['function_name']}")
        yield from _writing(role_of(function), group, OWN_LOG)


def _writing(role: str, group: str, rule: str) -> Iterator[Need]:
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        yield Need(role, action, f"{group}:log-stream:a-stream", rule)


def _failure_destinations(plan: Plan) -> Iterator[Need]:
    functions = plan.by("aws_lambda_function", "function_name")
    for config in plan.all("aws_lambda_function_event_invoke_config"):
        if config["destination_config"]:
            queue = config["destination_config.on_failure.destination"]
            role = role_of(functions[config["function_name"]])
            yield Need(role, "sqs:SendMessage", queue, DESTINATION)


def _tasks(plan: Plan) -> Iterator[Need]:
    for machine in plan.all("aws_sfn_state_machine"):
        for state in machine.json("definition")["States"].values():
            if state["Type"] == "Task":
                function = state["Resource"]
                yield Need(role_of(machine), "lambda:InvokeFunction", function, TASK)


def _builds(plan: Plan, names: Names) -> Iterator[Need]:
    for project in plan.all("aws_codebuild_project"):
        role = role_of(project)
        group = names.log_group(project["logs_config.cloudwatch_logs.group_name"])
        yield from _writing(role, group, BUILDS)
        if project["environment.image_pull_credentials_type"] == "SERVICE_ROLE":
            image = _repository(project["environment.image"])
            yield Need(role, "ecr:GetAuthorizationToken", "*", PULL)
            for action in _PULLING:
                yield Need(role, f"ecr:{action}", image, PULL)


def _repository(image: str) -> str:
    """Return the ARN of the repository that an image's URL names."""
    host, _, path = image.partition("/")
    account, _, _, region = host.split(".")[:4]
    name = path.partition(":")[0]
    return f"arn:{partition(region)}:ecr:{region}:{account}:repository/{name}"
