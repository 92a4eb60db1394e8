"""Who may invoke the functions, and who is set up to: permissions of the plan, and what needs them.

S3, API Gateway and SNS invoke a function by its own policy, not by a role's; no recorder sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.support.terraform.plan import UNKNOWN, Plan, Resource

API: Final = "apigateway.amazonaws.com"
S3: Final = "s3.amazonaws.com"
SNS: Final = "sns.amazonaws.com"

_HANDLER: Final = re.compile(r'aws_lambda_function\.handler\["(\w+)"\]')


@dataclass(frozen=True, slots=True, order=True)
class Invoker:
    """A service that invokes a function for one source.

    `source` is an ARN; for the API, whose id only the apply tells, the block that makes it and the
    route. `account` is the source's, where its ARN does not hold it.
    """

    service: str
    function: str
    source: str
    account: str = ""


def granted(plan: Plan) -> set[Invoker]:
    """Return whom the functions' own policies let in."""
    return set(map(_granted, plan.all("aws_lambda_permission")))


def _granted(permission: Resource) -> Invoker:
    permission.has(action="lambda:InvokeFunction")
    source = permission["source_arn"]
    if source == UNKNOWN:
        refers = permission.refers["source_arn"]
        source = " ".join(sorted(each for each in refers if each.count(".") == 1))
    account = permission["source_account"] or ""
    return Invoker(permission["principal"], permission["function_name"], source, account)


def set_up(plan: Plan) -> set[Invoker]:
    """Return who will invoke: notifications of buckets, routes of the API, topics given."""
    return {*_notifications(plan), *_routes(plan), *_topics(plan)}


def _notifications(plan: Plan) -> Iterator[Invoker]:
    for notification in plan.all("aws_s3_bucket_notification"):
        for target in notification.values["lambda_function"]:
            function = target["lambda_function_arn"]
            partition, account = function.split(":")[1], function.split(":")[4]
            bucket = f"arn:{partition}:s3:::{notification['bucket']}"
            yield Invoker(S3, function.split(":")[-1], bucket, account)


def _routes(plan: Plan) -> Iterator[Invoker]:
    functions = {str(each.index): each for each in plan.all("aws_lambda_function")}
    for route in plan.all("aws_apigatewayv2_route"):
        target = next(each for each in route.refers["target"] if each.count(".") == 1)
        integration = next(
            each for each in plan.all("aws_apigatewayv2_integration") if each.block == target
        )
        keys = filter(None, map(_HANDLER.match, integration.refers["integration_uri"]))
        function = functions[next(keys)[1]]
        api = next(each for each in route.refers["api_id"] if each.count(".") == 1)
        yield Invoker(API, function["function_name"], f"{api} local.route")


def _topics(plan: Plan) -> Iterator[Invoker]:
    functions = {str(each.index): each for each in plan.all("aws_lambda_function")}
    for topic in plan.case.variables.get("sns_topic_arns", ()):
        yield Invoker(SNS, functions["process_webhook"]["function_name"], topic)
