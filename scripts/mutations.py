"""The mutations of infra/: file, a text that occurs in it once, and what it becomes.

Not here, since they change nothing that a user or another program meets: the wording of
descriptions and comments, and the id of the one lifecycle rule. A statement without its sid is
here: `make iam-mutants`, and whoever reads a finding, tell statements apart by it; which word it
is, is free.
"""

from __future__ import annotations

from typing import Final

BOOTSTRAP: Final = (
    ("main.tf", "force_destroy = false", "force_destroy = true"),
    ("main.tf", 'status = "Enabled"', 'status = "Suspended"'),
    ("main.tf", '"AES256"', '"aws:kms"'),
    ("main.tf", "block_public_acls       = true", "block_public_acls       = false"),
    ("main.tf", "restrict_public_buckets = true", "restrict_public_buckets = false"),
    ("main.tf", 'required_version = ">= 1.5"', 'required_version = ">= 1.9"'),
    ("main.tf", "region = var.aws_region", 'region = "eu-west-1"'),
    ("main.tf", "bucket        = var.state_bucket_name", 'bucket        = "terraform-state"'),
    ("main.tf", ">= 5.100, < 7.0", ">= 5.0"),
    ("outputs.tf", "aws_s3_bucket.state.arn", "aws_s3_bucket.state.bucket"),
    ("variables.tf", "{1,61}", "{0,99}"),
    ("variables.tf", "^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", "-"),
    ("variables.tf", "{2,4}", "{1,4}"),
    (  # the name is the same, but nothing waits for the bucket any more
        "main.tf",
        '_versioning" "state" {\n  bucket = aws_s3_bucket.state.bucket',
        '_versioning" "state" {\n  bucket = var.state_bucket_name',
    ),
    (
        "main.tf",
        '_access_block" "state" {\n  bucket = aws_s3_bucket.state.bucket',
        '_access_block" "state" {\n  bucket = var.state_bucket_name',
    ),
    (
        "main.tf",
        "region = var.aws_region",
        "region = var.aws_region\n  skip_region_validation = true",
    ),
)

ECR: Final = (
    ("main.tf", '"iac-ci"', '"iac-ci-image"'),
    ("main.tf", '"MUTABLE"', '"IMMUTABLE"'),
    ("main.tf", "scan_on_push = true", "scan_on_push = false"),
    ("main.tf", "countNumber = 10", "countNumber = 100"),
    ("main.tf", '"imageCountMoreThan"', '"sinceImagePushed"'),
    ("main.tf", '"any"', '"untagged"'),
    ("outputs.tf", "aws_ecr_repository.image.repository_url", "aws_ecr_repository.image.name"),
    ("variables.tf", "(-[a-z]+)+", "(-[a-z]*)+"),
    ("main.tf", "repository = aws_ecr_repository.image.name", 'repository = "iac-ci"'),
    ("main.tf", 'name                 = "iac-ci"', 'name = "iac-ci"\n  force_delete = true'),
)

DATA: Final = (
    ("dynamodb.tf", 'attribute_name = "ttl"', 'attribute_name = "expires"'),
    ("dynamodb.tf", "enabled        = true", "enabled        = false"),
    ("dynamodb.tf", '"PAY_PER_REQUEST"', '"PROVISIONED"'),
    ("dynamodb.tf", 'epoch = "N"', 'epoch = "S"'),
    ("dynamodb.tf", '"ALL"', '"KEYS_ONLY"'),
    ("dynamodb.tf", 'hash_key     = "pk"', 'hash_key     = "id"'),
    ("dynamodb.tf", 'range_key  = "sk"', "range_key  = null"),
    ("dynamodb.tf", "order_name_index =", "order_names_index ="),
    ("dynamodb.tf", 'range_key = "epoch"', 'range_key = "sk"'),
    ("s3.tf", "    expiration {\n      days = 1", "    expiration {\n      days = 10"),
    ("s3.tf", 'status = "Enabled"', 'status = "Disabled"'),
    ("s3.tf", "filter {}", 'filter {\n      prefix = "tmp/"\n    }'),
    ("s3.tf", "force_destroy = true", "force_destroy = false"),
    ("s3.tf", "days_after_initiation = 1", "days_after_initiation = 7"),
    ("s3.tf", "block_public_policy     = true", "block_public_policy     = false"),
    ("s3.tf", '"AES256"', '"aws:kms"'),
    ("s3.tf", 'values   = ["false"]', 'values   = ["true"]'),
    ("s3.tf", 'effect    = "Deny"', 'effect    = "Allow"'),
    ("s3.tf", 'toset(["done", "internal"])', 'toset(["done", "internal", "spare"])'),
    ("s3_notifications.tf", '"tmp/callbacks/runs/"', '"tmp/callbacks/"'),
    ("s3_notifications.tf", '"result.json"', '".json"'),
    ("s3_notifications.tf", '"s3:ObjectCreated:*"', '"s3:ObjectCreated:Put"'),
    (
        "s3_notifications.tf",
        'lambda_function_arn = local.function_arns["orchestrator"]',
        'lambda_function_arn = local.function_arns["worker"]',
    ),
    ("s3_notifications.tf", "source_account = local.account", "# "),
    ("s3_notifications.tf", 'source_arn     = local.bucket_arns["internal"]', "# "),
    ("s3_notifications.tf", "depends_on = [aws_lambda_permission.s3]", ""),
    ("main.tf", "${var.salt}", ""),
    ("main.tf", "${terraform.workspace}${var", "${var"),
    ("main.tf", "-5, 5)", "0, 5)"),
    ("main.tf", "workspace = terraform.workspace", 'workspace = "default"'),
    ("main.tf", "arn:${data.aws_partition.current.partition}", "arn:aws"),
    ("main.tf", "try(local.region.region, local.region.name)", "data.aws_region.current.id"),
    ("main.tf", "data.aws_caller_identity.current.account_id", '"123456789012"'),
    ("main.tf", "${var.ecr_repo}:${var.image_tag}", "${var.ecr_repo}:latest"),
)

COMPUTE: Final = (
    ("lambdas.tf", "src.${each.key}.handler.handler", "src.worker.handler.handler"),
    ("lambdas.tf", "timeout           = 300", "timeout           = 30"),
    ("lambdas.tf", "memory            = 1024", "memory            = 512"),
    ("lambdas.tf", "memory            = 256", "memory            = 128"),
    ("lambdas.tf", 'package_type  = "Image"', 'package_type  = "Zip"'),
    ("lambdas.tf", "aws_iam_role.role[each.key].arn", 'aws_iam_role.role["orchestrator"].arn'),
    (
        "lambdas.tf",
        'IAC_CI_LOCKS_TABLE        = local.names["orchestrator_locks"]',
        'IAC_CI_LOCKS_TABLE        = local.names["orders"]',
    ),
    ("lambdas.tf", 'IAC_CI_WORKER_FUNCTION   = local.names["worker"]', ""),
    ("lambdas.tf", 'authorization_type = "AWS_IAM"', 'authorization_type = "NONE"'),
    ("lambdas.tf", 'recursive_loop = "Allow"', 'recursive_loop = "Terminate"'),
    ("lambdas.tf", "maximum_event_age_in_seconds = 21600", "maximum_event_age_in_seconds = 600"),
    ("lambdas.tf", "maximum_event_age_in_seconds = 600\n", "maximum_event_age_in_seconds = 6000\n"),
    ("lambdas.tf", "source_arn    = each.key", ""),
    ("lambdas.tf", "sns-${substr(sha256(each.key), 0, 8)}", "sns"),
    ("lambdas.tf", "size = each.value.ephemeral_storage", "size = 512"),
    (
        "lambdas.tf",
        "depends_on = [aws_cloudwatch_log_group.log, aws_iam_role_policy.policy]",
        "depends_on = [aws_iam_role_policy.policy]",
    ),
    ("step_functions.tf", "  Seconds = 60", "  Seconds = 600"),
    ("step_functions.tf", 'Default = "WaitStep"', 'Default = "Succeed"'),
    ("step_functions.tf", "BooleanEquals = true", "BooleanEquals = false"),
    ("step_functions.tf", 'Next    = "CheckResult"', 'Next    = "CheckResults"'),
    ("step_functions.tf", 'StartAt = "CheckResult"', 'StartAt = "IsDone"'),
    ("step_functions.tf", '"States.ALL"', '"States.Timeout"'),
    ("step_functions.tf", 'OutputPath     = "$.task"', 'OutputPath     = "$"'),
    ("codebuild.tf", "privileged_mode             = false", "privileged_mode             = true"),
    ("codebuild.tf", '"BUILD_GENERAL1_SMALL"', '"BUILD_GENERAL1_LARGE"'),
    ("codebuild.tf", "= local.image", "= var.ecr_repo"),
    ("codebuild.tf", '"LINUX_CONTAINER"', '"ARM_CONTAINER"'),
    ("codebuild.tf", "for_each = local.environment", "for_each = {}"),
    ("codebuild.tf", "build_timeout  = 190", "build_timeout  = 60"),
    ("codebuild.tf", "python -m src.worker", "python -m src.orchestrator"),
    ("codebuild.tf", 'aws_iam_role.role["codebuild"]', 'aws_iam_role.role["worker"]'),
    ("api_gateway.tf", '"POST /webhook"', '"ANY /webhook"'),
    ("api_gateway.tf", "auto_deploy = true", "auto_deploy = false"),
    ("api_gateway.tf", '"$default"', '"live"'),
    ("api_gateway.tf", 'protocol_type = "HTTP"', 'protocol_type = "WEBSOCKET"'),
    (
        "api_gateway.tf",
        'handler["process_webhook"].invoke_arn',
        'handler["orchestrator"].invoke_arn',
    ),
    ("api_gateway.tf", "execution_arn}/*/${replace", "execution_arn}/*/*${replace"),
    ("api_gateway.tf", 'local.route, " "', 'local.route, "/"'),
    ("api_gateway.tf", '"integrations/', '"integration/'),
    ("lambdas.tf", 'join(","', 'join(";"'),
    ("main.tf", 'replace(var.ecr_repo, "/^[^/]+[/]/", "")', "basename(var.ecr_repo)"),
    ("api_gateway.tf", "throttling_rate_limit  = 25", "throttling_rate_limit  = 2500"),
    ("failures.tf", "sqs_managed_sse_enabled   = true", "sqs_managed_sse_enabled   = false"),
    ("logs.tf", "retention_in_days = var.log_retention_days", ""),
    ("logs.tf", "/aws/lambda/", "/lambda/"),
    ("alarms.tf", '["Errors", "Throttles"]', '["Errors"]'),
    ("alarms.tf", "if var.alarm_topic_arn != null", ""),
    ("alarms.tf", "threshold           = 0", "threshold           = 10"),
    ("alarms.tf", '"GreaterThanThreshold"', '"LessThanThreshold"'),
    ("alarms.tf", "period              = 300", "period              = 3600"),
    ("alarms.tf", '"notBreaching"', '"breaching"'),
    ("alarms.tf", "find-out-why-a-run-failed.md", "find-out-why.md"),
    ("api_gateway.tf", '"$context.responseLatency"', '"$context.integrationLatency"'),
    ("api_gateway.tf", "throttling_burst_limit = 50", "throttling_burst_limit = 5"),
    ("codebuild.tf", "queued_timeout = 60", "queued_timeout = 480"),
    ("codebuild.tf", '"SERVICE_ROLE"', '"CODEBUILD"'),
    ("step_functions.tf", "BackoffRate     = 2", "BackoffRate     = 1"),
    ("step_functions.tf", "MaxAttempts     = 1000", "MaxAttempts     = 3"),
    ("step_functions.tf", "IntervalSeconds = 5", "IntervalSeconds = 500"),
    ("lambdas.tf", "on_failure {", "on_success {"),
    (
        "lambdas.tf",
        "memory            = 256\n      ephemeral_storage = 512",
        "memory            = 256\n      ephemeral_storage = 1024",
    ),
    ("failures.tf", "= 1209600", "= 345600"),
)

ACCESS: Final = (
    ("iam.tf", '"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"', '"dynamodb:*"'),
    ("iam.tf", '["ssm:GetParameter"]', '["ssm:GetParameter*"]'),
    ("iam.tf", "tmp/callbacks/runs/*", "*"),
    ("iam.tf", "resources = [local.build_project_arn]", 'resources = ["*"]'),
    ("iam.tf", 'secret:${var.secret_path_prefix}*"', 'secret:*"'),
    ("iam.tf", "parameter/${var.secret_path_prefix}*", "parameter/*"),
    ("iam.tf", 'actions   = ["states:StartExecution"]', 'actions   = ["states:*"]'),
    (
        "iam.tf",
        'local.table_arns["order_events"], local.table_arns["orders"]',
        'local.table_arns["orders"]',
    ),
    ("iam.tf", "resources = values(local.table_arns)", 'resources = ["${local.arn}:dynamodb:*"]'),
    ("iam.tf", "values(local.bucket_arns)", '[local.bucket_arns["internal"]]'),
    ("iam.tf", "resources = [local.repository_arn]", 'resources = ["*"]'),
    ("iam.tf", '      "ecr:BatchGetImage",\n', ""),
    ("iam.tf", "  name   = local.names[each.key]\n", ""),
    ("iam.tf", "permissions_boundary = var.permissions_boundary", ""),
    ("iam.tf", "${each.key}.amazonaws.com", "lambda.amazonaws.com"),
    ("iam.tf", 'setsubtract([each.key], ["lambda"])', "[]"),
    ("iam.tf", 'worker          = "lambda"', 'worker          = "codebuild"'),
    ("iam.tf", 'formatlist("%s/*", statement.value)', 'formatlist("%s*", statement.value)'),
    (
        "iam.tf",
        'resources = [local.function_arns["watchdog_check"]]',
        "resources = values(local.function_arns)",
    ),
    ("iam.tf", '["${local.log_group_arns[each.key]}:*"]', '["${local.arn}:logs:*"]'),
    ("iam.tf", "var.code_bucket_arns) > 0", "var.code_bucket_arns) > 1"),
    (
        "iam.tf",
        '    sid       = "Tables"\n    actions   = ["dynamodb:*"]',
        '    actions = ["dynamodb:*"]',
    ),
    ("iam.tf", '      sid       = "CodeBuckets"\n', ""),
    ("iam.tf", '    sid       = "Check"\n', ""),
    ("s3.tf", '    sid       = "RefusePlainHttp"\n', ""),
)

INPUTS: Final = (
    ("variables.tf", 'default     = "iac-ci/"', 'default     = ""'),
    ("variables.tf", "default     = 14", "default     = 3653"),
    ("variables.tf", "default     = 2048", "default     = 512"),
    ("variables.tf", "{0,64}$", "{0,640}$"),
    ("variables.tf", "{0,127}$", "{0,12}$"),
    ("variables.tf", "storage_mb >= 512", "storage_mb >= 1024"),
    ("variables.tf", "3288, 3653,", "3288,"),
    ("variables.tf", "365, 400, 545", "365, 545"),
    ("variables.tf", '-[0-9]+$", var.aws_region', '-[0-9]*$", var.aws_region'),
    (
        "variables.tf",
        '"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var',
        '"arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var',
    ),
    ("variables.tf", '[A-Za-z0-9_-]+$", arn', '[A-Za-z0-9_.-]+$", arn'),
    ("variables.tf", "{1,61}", "{0,61}"),
    ("variables.tf", "policy/.+$", "policy/.*$"),
    ("variables.tf", '(/[A-Za-z0-9_.-]+)*/$", var.secret', '(/[A-Za-z0-9_.*-]+)*/$", var.secret'),
    ("variables.tf", "(:[0-9]+)?", "(:[0-9]*)?"),
    ("variables.tf", "([0-9]{12}|aws)", "[0-9]{12}"),
    ("variables.tf", "var.worker_ephemeral_storage_mb <= 10240 &&", "true &&"),
    (
        "variables.tf",
        "salt must be at most",
        "this must be at most",
    ),
    ("variables.tf", 'description = "How long logs are kept, in days."', 'description = ""'),
    ("outputs.tf", "key => table.name", "key => table.id"),
    ("outputs.tf", "${aws_apigatewayv2_api.webhook.api_endpoint}", "https://"),
    ("outputs.tf", "local.route)[1]", "local.route)[0]"),
    ("outputs.tf", "function.arn }", "function.invoke_arn }"),
    ("outputs.tf", "key => bucket.bucket", "bucket.bucket => bucket.bucket"),
)

# The same names and a plan that is the same, but terraform makes them in any order.
ORDER: Final = (
    (
        "s3.tf",
        "aws_s3_bucket.bucket[each.key].bucket\n\n  rule {\n    id",
        "local.names[each.key]\n\n  rule {\n    id",
    ),
    ("s3.tf", 'aws_s3_bucket.bucket["internal"].bucket', 'local.names["internal"]'),
    ("s3.tf", "  depends_on = [aws_s3_bucket_public_access_block.internal]\n", ""),
    ("s3_notifications.tf", 'aws_s3_bucket.bucket["internal"].bucket', 'local.names["internal"]'),
    (
        "s3_notifications.tf",
        'aws_lambda_function.handler["orchestrator"].function_name',
        'local.names["orchestrator"]',
    ),
    ("iam.tf", "role   = aws_iam_role.role[each.key].name", "role   = local.names[each.key]"),
    (
        "lambdas.tf",
        "aws_lambda_function.handler[each.key].function_name",
        "local.names[each.key]",
    ),
    (
        "lambdas.tf",
        'aws_lambda_function.handler["worker"].function_name',
        'local.names["worker"]',
    ),
    (
        "lambdas.tf",
        'function_name      = aws_lambda_function.handler["process_webhook"].function_name',
        'function_name      = local.names["process_webhook"]',
    ),
    ("lambdas.tf", "  depends_on = [aws_sqs_queue.failures]\n", ""),
    (
        "api_gateway.tf",
        'aws_lambda_function.handler["process_webhook"].function_name',
        'local.names["process_webhook"]',
    ),
    (
        "codebuild.tf",
        'aws_cloudwatch_log_group.log["codebuild"].name',
        'local.log_groups["codebuild"]',
    ),
    ("codebuild.tf", "  depends_on = [aws_iam_role_policy.policy]\n", ""),
    ("step_functions.tf", "  depends_on = [aws_iam_role_policy.policy]\n", ""),
)

# A line more than anybody asked for.
MORE: Final = tuple(
    (file, after, f"{after}\n  {line}")
    for file, after, line in (
        (
            "iam.tf",
            "permissions_boundary = var.permissions_boundary",
            "max_session_duration = 43200",
        ),
        ("iam.tf", "  name                 = local.names[each.key]", 'path = "/"'),
        ("lambdas.tf", 'package_type  = "Image"', 'architectures = ["arm64"]'),
        ("lambdas.tf", "memory_size   = each.value.memory", "reserved_concurrent_executions = 1"),
        ("lambdas.tf", "image_uri     = local.image", "lifecycle {\n ignore_changes = all\n }"),
        ("lambdas.tf", 'authorization_type = "AWS_IAM"', 'invoke_mode = "RESPONSE_STREAM"'),
        ("api_gateway.tf", 'protocol_type = "HTTP"', "disable_execute_api_endpoint = true"),
        ("api_gateway.tf", "route_key = local.route", 'authorization_type = "AWS_IAM"'),
        ("api_gateway.tf", "throttling_burst_limit = 50", "detailed_metrics_enabled = true"),
        ("dynamodb.tf", 'hash_key     = "pk"', "deletion_protection_enabled = true"),
        ("s3.tf", "bucket        = local.names[each.key]", "object_lock_enabled = true"),
        ("logs.tf", "name              = each.value", "skip_destroy = true"),
        ("codebuild.tf", 'name         = local.names["worker"]', "concurrent_build_limit = 1"),
        ("codebuild.tf", "privileged_mode             = false", 'certificate = "bucket/cert.pem"'),
        ("alarms.tf", "alarm_actions       = [var.alarm_topic_arn]", "actions_enabled = false"),
        (
            "failures.tf",
            'name                      = local.names["failures"]',
            "delay_seconds = 900",
        ),
    )
)

MUTATIONS: Final = tuple(
    (f"{stage}/{file}", old, new)
    for stage, rows in (
        ("00-bootstrap", BOOTSTRAP),
        ("01-ecr", ECR),
        ("02-deploy", DATA + COMPUTE + ACCESS + INPUTS + ORDER + MORE),
    )
    for file, old, new in rows
)
