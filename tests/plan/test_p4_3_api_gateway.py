"""P4.3 of the specification: api_gateway.tf. Sentence by sentence."""

from __future__ import annotations

import pytest

from tests.support.terraform.names import Names
from tests.support.terraform.plan import Plan
from tests.support.terraform.stages import DEPLOY

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]

API = "aws_apigatewayv2_api.webhook"
WEBHOOK = 'aws_lambda_function.handler["process_webhook"]'


def test_http_api(deployment: Plan, names: Names) -> None:
    api = deployment.one("aws_apigatewayv2_api")

    api.has(protocol_type="HTTP", name=names.of("webhook"))


def test_post_webhook_route_leads_to_process_webhook(plan: Plan) -> None:
    route = plan.one("aws_apigatewayv2_route")
    integration = plan.one("aws_apigatewayv2_integration")

    route.has(route_key="POST /webhook")
    plan.hold(
        {f"{API}.id", API}, {*route.refers["api_id"]}, f"{route.address}: which API", at=route
    )
    target = f"integrations/${{{integration.block}.id}}"
    plan.hold(target, route.written["target"], f"{route.address}: target", at=route)


def test_process_webhook_integration_passes_the_request_on(plan: Plan) -> None:
    integration = plan.one("aws_apigatewayv2_integration")

    integration.has(integration_type="AWS_PROXY", payload_format_version="2.0")
    refers = integration.refers
    what = f"{integration.address}: "
    plan.hold({f"{API}.id", API}, {*refers["api_id"]}, f"{what}which API", at=integration)
    expected = {f"{WEBHOOK}.invoke_arn", WEBHOOK, "aws_lambda_function.handler"}
    plan.hold(expected, {*refers["integration_uri"]}, f"{what}which function", at=integration)


def test_stage_is_default_with_auto_deploy(plan: Plan) -> None:
    stage = plan.one("aws_apigatewayv2_stage")

    stage.has(name="$default", auto_deploy=True)
    plan.hold({f"{API}.id", API}, {*stage.refers["api_id"]}, "the stage's API", at=stage)
