"""The mutations of infra/: file, a text that occurs in it once, and what it becomes."""

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
)

ECR: Final = (
    ("main.tf", '"iac-ci"', '"iac-ci-image"'),
    ("main.tf", '"MUTABLE"', '"IMMUTABLE"'),
    ("main.tf", "scan_on_push = true", "scan_on_push = false"),
    ("main.tf", "countNumber = 10", "countNumber = 100"),
    ("main.tf", '"imageCountMoreThan"', '"sinceImagePushed"'),
    ("main.tf", '"any"', '"untagged"'),
    ("outputs.tf", "aws_ecr_repository.image.repository_url", "aws_ecr_repository.image.name"),
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
    ("main.tf", "data.aws_region.current.id", "data.aws_region.current.name"),
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
    ("api_gateway.tf", "throttling_rate_limit  = 25", "throttling_rate_limit  = 2500"),
    ("failures.tf", "sqs_managed_sse_enabled   = true", "sqs_managed_sse_enabled   = false"),
    ("logs.tf", "retention_in_days = var.log_retention_days", ""),
    ("logs.tf", "/aws/lambda/", "/lambda/"),
    ("alarms.tf", '["Errors", "Throttles"]', '["Errors"]'),
    ("alarms.tf", "if var.alarm_topic_arn != null", ""),
    ("alarms.tf", "threshold           = 0", "threshold           = 10"),
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
)

INPUTS: Final = (
    ("variables.tf", 'default     = "iac-ci/"', 'default     = ""'),
    ("variables.tf", "default     = 14", "default     = 3653"),
    ("variables.tf", "default     = 2048", "default     = 512"),
    ("variables.tf", "{0,64}$", "{0,640}$"),
    ("variables.tf", "var.worker_ephemeral_storage_mb <= 10240 &&", "true &&"),
    (
        "variables.tf",
        "salt must be at most",
        "this must be at most",
    ),
    ("variables.tf", 'description = "How long logs are kept, in days."', 'description = ""'),
    ("outputs.tf", "key => table.name", "key => table.id"),
    ("outputs.tf", "${aws_apigatewayv2_api.webhook.api_endpoint}", "https://"),
    ("outputs.tf", "function.arn }", "function.invoke_arn }"),
    ("outputs.tf", "key => bucket.bucket", "bucket.bucket => bucket.bucket"),
)

MUTATIONS: Final = tuple(
    (f"{stage}/{file}", old, new)
    for stage, rows in (
        ("00-bootstrap", BOOTSTRAP),
        ("01-ecr", ECR),
        ("02-deploy", DATA + COMPUTE + ACCESS + INPUTS),
    )
    for file, old, new in rows
)
