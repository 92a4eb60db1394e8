"""What goes beyond the specification: the closed list, and that it is closed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import yaml

from tests.support.terraform.names import Grant, Names, grants
from tests.support.terraform.plan import Plan
from tests.support.terraform.stages import ALARMS, DEPLOY, ROOT, TOPIC

pytestmark = [pytest.mark.plan, pytest.mark.stage(DEPLOY)]

FUNCTIONS = ("orchestrator", "process_webhook", "watchdog_check", "worker")
BUCKETS = ("done", "internal")
ROLES = (*FUNCTIONS, "codebuild", "watchdog")
TABLES = ("order_events", "orchestrator_locks", "orders")


def keyed(block: str, keys: tuple[str, ...]) -> set[str]:
    return {f'{block}["{key}"]' for key in keys}


SPECIFIED = {
    "aws_apigatewayv2_api.webhook",
    "aws_apigatewayv2_integration.process_webhook",
    "aws_apigatewayv2_route.webhook",
    "aws_apigatewayv2_stage.default",
    "aws_codebuild_project.worker",
    "aws_lambda_function_url.process_webhook",
    "aws_lambda_permission.s3",
    "aws_s3_bucket_notification.internal",
    "aws_s3_bucket_public_access_block.internal",
    "aws_sfn_state_machine.watchdog",
    *keyed("aws_dynamodb_table.table", TABLES),
    *keyed("aws_iam_role.role", ROLES),
    *keyed("aws_iam_role_policy.policy", ROLES),
    *keyed("aws_lambda_function.handler", FUNCTIONS),
    *keyed("aws_s3_bucket.bucket", BUCKETS),
    *keyed("aws_s3_bucket_lifecycle_configuration.bucket", BUCKETS),
    *keyed("aws_s3_bucket_server_side_encryption_configuration.bucket", BUCKETS),
}
ADDED = {
    "aws_lambda_function_event_invoke_config.worker",
    "aws_lambda_function_recursion_config.orchestrator",
    "aws_lambda_permission.api",  # without it the specified route answers 500
    "aws_sqs_queue.failures",
    *keyed("aws_cloudwatch_log_group.log", (*FUNCTIONS, "codebuild", "webhook")),
    *keyed("aws_lambda_function_event_invoke_config.handler", ("orchestrator", "process_webhook")),
    *keyed("aws_s3_bucket_policy.bucket", BUCKETS),
}
ALARM_KEYS = (
    "failures-not-empty",
    *(f"{key}-{metric}" for key in FUNCTIONS for metric in ("errors", "throttles")),
)
OPTIONAL = {
    *keyed("aws_cloudwatch_metric_alarm.alarm", ALARM_KEYS),
    *keyed("aws_lambda_permission.sns", (TOPIC,)),
}


def is_full(plan: Plan) -> bool:
    """Whether every optional thing is asked for."""
    return plan.case.name == "everything"


def test_deploy_has_exactly_these_resources(deployment: Plan) -> None:
    expected = SPECIFIED | ADDED | (OPTIONAL if is_full(deployment) else set())

    deployment.hold(expected, {*deployment.resources}, "resources of 02-deploy")


def test_each_lambda_and_build_has_a_log_group_with_retention(
    deployment: Plan, names: Names
) -> None:
    expected = {f"/aws/lambda/{names.of(key)}" for key in FUNCTIONS}
    expected |= {f"/aws/codebuild/{names.of('worker')}", f"/aws/vendedlogs/{names.of('webhook')}"}
    groups = deployment.by("aws_cloudwatch_log_group", "name")

    deployment.hold(expected, {*groups}, "log groups")
    for group in groups.values():
        group.has(retention_in_days=deployment.case.variables.get("log_retention_days", 14))


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_refuse_plain_http(deployment: Plan, names: Names, bucket: str) -> None:
    policy = deployment.one("aws_s3_bucket_policy", bucket=names.of(bucket))
    plain = json.dumps({"Bool": {"aws:SecureTransport": "false"}})
    objects = (names.bucket(bucket), names.bucket(bucket, "/*"))

    document = policy.json("policy")
    expected = {Grant("Deny", "s3:*", resource, plain) for resource in objects}
    deployment.hold(expected, grants(document), "bucket policy", at=policy)
    for_whom = {each["Principal"] for each in document["Statement"]}
    deployment.hold({"*"}, for_whom, "for whom", at=policy)


def test_the_api_is_throttled_and_logs_access(plan: Plan) -> None:
    stage = plan.one("aws_apigatewayv2_stage")

    stage.has(
        default_route_settings__throttling_burst_limit=50,
        default_route_settings__throttling_rate_limit=25,
    )
    group = 'aws_cloudwatch_log_group.log["webhook"].arn'
    plan.includes({group}, stage.refers["access_log_settings"], "access log refers to", at=stage)
    logged = stage.json("access_log_settings.format")
    expected = {
        "error": "$context.error.message",
        "ip": "$context.identity.sourceIp",
        "latency_ms": "$context.responseLatency",
        "request_id": "$context.requestId",
        "route": "$context.routeKey",
        "status": "$context.status",
        "time": "$context.requestTime",
        "upstream": "$context.integrationErrorMessage",
    }
    plan.hold(expected, logged, "access log", at=stage)


def test_the_api_may_invoke_process_webhook_for_its_route_only(
    deployment: Plan, names: Names
) -> None:
    permission = deployment.one("aws_lambda_permission", principal="apigateway.amazonaws.com")

    permission.has(action="lambda:InvokeFunction", function_name=names.of("process_webhook"))
    expected = {
        "aws_apigatewayv2_api.webhook.execution_arn",
        "aws_apigatewayv2_api.webhook",
        "local.route",
    }
    got = {*permission.refers["source_arn"]}
    deployment.hold(expected, got, "source_arn refers to", at=permission)
    api, path = "${aws_apigatewayv2_api.webhook.execution_arn}", '${replace(local.route, " ", "")}'
    source = permission.written["source_arn"]
    deployment.hold(f"{api}/*/{path}", source, "source_arn: any stage, the route", at=permission)


def test_every_permission_names_its_source(deployment: Plan) -> None:
    for each in deployment.all("aws_lambda_permission"):
        deployment.check(each["source_arn"], f"{each.address}: has a source_arn", at=each)


def test_every_permission_has_an_id_that_stays(deployment: Plan) -> None:
    ids = [each["statement_id"] for each in deployment.all("aws_lambda_permission")]

    expected = {"api", "s3"}
    if is_full(deployment):
        expected.add(f"sns-{hashlib.sha256(TOPIC.encode()).hexdigest()[:8]}")
    deployment.hold(sorted(expected), sorted(ids), "ids of permissions")


def test_topics_may_invoke_process_webhook_where_they_are_given(
    deployment: Plan, names: Names
) -> None:
    got = {
        (each["source_arn"], each["action"], each["function_name"])
        for each in deployment.all("aws_lambda_permission")
        if each["principal"] == "sns.amazonaws.com"
    }

    one = (TOPIC, "lambda:InvokeFunction", names.of("process_webhook"))
    deployment.hold({one} if is_full(deployment) else set(), got, "topics that may invoke")


def test_recursive_loop_is_allowed_on_the_orchestrator(deployment: Plan, names: Names) -> None:
    config = deployment.one("aws_lambda_function_recursion_config")

    config.has(function_name=names.of("orchestrator"), recursive_loop="Allow")


@pytest.mark.parametrize("function", ["orchestrator", "process_webhook"])
def test_failed_events_go_to_the_failure_queue(
    deployment: Plan, names: Names, function: str
) -> None:
    config = deployment.one(
        "aws_lambda_function_event_invoke_config", function_name=names.of(function)
    )

    config.has(
        maximum_event_age_in_seconds=21_600,
        maximum_retry_attempts=2,
        destination_config__on_failure__destination=names.arn("sqs", names.of("failures")),
    )


def test_events_of_the_worker_are_dropped_after_10_minutes(plan: Plan, names: Names) -> None:
    config = plan.one("aws_lambda_function_event_invoke_config", function_name=names.of("worker"))

    config.has(maximum_event_age_in_seconds=600, maximum_retry_attempts=2, destination_config=[])


def test_the_failure_queue_keeps_events_encrypted_for_14_days(
    deployment: Plan, names: Names
) -> None:
    queue = deployment.one("aws_sqs_queue")

    queue.has(
        name=names.of("failures"),
        message_retention_seconds=14 * 86_400,
        sqs_managed_sse_enabled=True,
    )


def test_alarms_go_to_the_topic_that_is_given(deployment: Plan, names: Names) -> None:
    def alarm(namespace: str, metric: str, statistic: str, **dimension: str) -> tuple[Any, ...]:
        return namespace, metric, statistic, *dimension.items()

    expected = {
        alarm("AWS/Lambda", metric, "Sum", FunctionName=names.of(key))
        for key in FUNCTIONS
        for metric in ("Errors", "Throttles")
    }
    waiting = "ApproximateNumberOfMessagesVisible"
    expected.add(alarm("AWS/SQS", waiting, "Maximum", QueueName=names.of("failures")))
    got = {
        alarm(each["namespace"], each["metric_name"], each["statistic"], **each["dimensions"])
        for each in deployment.all("aws_cloudwatch_metric_alarm")
    }
    deployment.hold(expected if is_full(deployment) else set(), got, "alarms")
    for each in deployment.all("aws_cloudwatch_metric_alarm"):
        each.has(
            threshold=0,
            comparison_operator="GreaterThanThreshold",
            evaluation_periods=1,
            period=300,
            treat_missing_data="notBreaching",
            alarm_name=names.of(str(each.index)),
        )
        deployment.hold([ALARMS], each.values["alarm_actions"], "alarm actions", at=each)
        paper = ROOT / each["alarm_description"].split(" ")[0]
        told = paper.is_file() and "raise alarms" in paper.read_text()
        deployment.check(told, f"{each.address}: {paper} tells of alarms", at=each)


def test_everything_is_tagged_with_project_and_workspace(deployment: Plan) -> None:
    tags = {"project": "iac-ci", "workspace": deployment.case.workspace}

    tagged = [each for each in deployment.resources.values() if "tags_all" in each.values]
    deployment.check(len(tagged) > 20, f"{len(tagged)} are tagged, more than 20")
    for each in tagged:
        each.has(tags_all=tags)


def test_aborted_uploads_go_with_the_day(plan: Plan) -> None:
    for each in plan.all("aws_s3_bucket_lifecycle_configuration"):
        each.has(rule__abort_incomplete_multipart_upload__days_after_initiation=1)


def test_the_workers_disk_is_2048_mb_unless_said_otherwise(deployment: Plan, names: Names) -> None:
    worker = deployment.one("aws_lambda_function", function_name=names.of("worker"))

    size = deployment.case.variables.get("worker_ephemeral_storage_mb", 2048)
    worker.has(ephemeral_storage__size=size)


def test_builds_run_the_worker_as_long_as_an_order_may_take(plan: Plan, names: Names) -> None:
    project = plan.one("aws_codebuild_project")

    project.has(
        build_timeout=190,
        queued_timeout=60,
        source__type="NO_SOURCE",
        artifacts__type="NO_ARTIFACTS",
        logs_config__cloudwatch_logs__group_name=f"/aws/codebuild/{names.of('worker')}",
    )
    spec = yaml.safe_load(project["source.buildspec"])
    commands = ['cd "${LAMBDA_TASK_ROOT:-/var/task}" && python -m src.worker']
    expected = {"version": "0.2", "phases": {"build": {"commands": commands}}}
    plan.hold(expected, json.loads(json.dumps(spec, default=str)), "buildspec", at=project)
