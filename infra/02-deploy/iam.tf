# Six roles, each for one service, each with one policy. Grants are the specification's; the README
# says of each that nobody uses why it is kept.

locals {
  role_services = {
    codebuild       = "codebuild"
    orchestrator    = "lambda"
    process_webhook = "lambda"
    watchdog        = "states"
    watchdog_check  = "lambda"
    worker          = "lambda"
  }

  policies = {
    codebuild       = data.aws_iam_policy_document.codebuild
    orchestrator    = data.aws_iam_policy_document.orchestrator
    process_webhook = data.aws_iam_policy_document.process_webhook
    watchdog        = data.aws_iam_policy_document.watchdog
    watchdog_check  = data.aws_iam_policy_document.watchdog_check
    worker          = data.aws_iam_policy_document.worker
  }
}

data "aws_iam_policy_document" "trust" {
  for_each = toset(values(local.role_services))

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }

    # CodeBuild and Step Functions say for whom they act; Lambda does not, and would be locked out.
    dynamic "condition" {
      for_each = setsubtract([each.key], ["lambda"])

      content {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }
}

resource "aws_iam_role" "role" {
  for_each = local.role_services

  name                 = local.names[each.key]
  assume_role_policy   = data.aws_iam_policy_document.trust[each.value].json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy" "policy" {
  for_each = local.role_services

  name   = local.names[each.key]
  role   = aws_iam_role.role[each.key].name
  policy = local.policies[each.key].json
}

# Each function writes its own log and no other.
data "aws_iam_policy_document" "own_log" {
  for_each = local.functions

  statement {
    sid       = "OwnLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.log_group_arns[each.key]}:*"]
  }
}

data "aws_iam_policy_document" "process_webhook" {
  source_policy_documents = [data.aws_iam_policy_document.own_log["process_webhook"].json]

  statement {
    sid       = "Tables"
    actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"]
    resources = [local.table_arns["order_events"], local.table_arns["orders"]]
  }

  statement {
    sid       = "InternalBucket"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.bucket_arns["internal"]}/*"]
  }

  statement {
    sid     = "Parameters"
    actions = ["ssm:GetParameter"]
    resources = [
      "${local.arn}:ssm:${local.here}:parameter/${var.secret_path_prefix}*",
      "${local.arn}:ssm:${local.here}:parameter${var.webhook_secret_parameter}",
    ]
  }

  statement {
    sid       = "Secrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["${local.arn}:secretsmanager:${local.here}:secret:${var.secret_path_prefix}*"]
  }

  statement {
    sid       = "Itself" # it answers first and packages in an invocation of its own
    actions   = ["lambda:InvokeFunction"]
    resources = [local.function_arns["process_webhook"]]
  }

  statement {
    sid       = "Failures"
    actions   = ["sqs:SendMessage"]
    resources = [local.failures_arn]
  }

  dynamic "statement" {
    for_each = length(var.code_bucket_arns) > 0 ? [var.code_bucket_arns] : []

    content {
      sid       = "CodeBuckets"
      actions   = ["s3:GetObject"]
      resources = formatlist("%s/*", statement.value)
    }
  }
}

data "aws_iam_policy_document" "orchestrator" {
  source_policy_documents = [data.aws_iam_policy_document.own_log["orchestrator"].json]

  statement {
    sid       = "Tables"
    actions   = ["dynamodb:*"]
    resources = values(local.table_arns)
  }

  statement {
    sid       = "Buckets"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = formatlist("%s/*", values(local.bucket_arns))
  }

  statement {
    sid       = "Worker"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.function_arns["worker"]]
  }

  statement {
    sid       = "Builds"
    actions   = ["codebuild:StartBuild"]
    resources = [local.build_project_arn]
  }

  statement {
    sid       = "Watchdogs"
    actions   = ["states:StartExecution"]
    resources = [local.state_machine_arn]
  }

  statement {
    sid       = "Failures"
    actions   = ["sqs:SendMessage"]
    resources = [local.failures_arn]
  }
}

data "aws_iam_policy_document" "watchdog_check" {
  source_policy_documents = [data.aws_iam_policy_document.own_log["watchdog_check"].json]

  statement {
    sid       = "Callbacks"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.bucket_arns["internal"]}/tmp/callbacks/runs/*"]
  }
}

data "aws_iam_policy_document" "worker" {
  source_policy_documents = [data.aws_iam_policy_document.own_log["worker"].json]

  statement {
    sid       = "Bundles"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arns["internal"]}/tmp/exec/*"]
  }
}

data "aws_iam_policy_document" "codebuild" {
  statement {
    sid       = "Registry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # AWS offers no other
  }

  statement {
    sid = "Image"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = [local.repository_arn]
  }

  statement {
    sid       = "Bundles"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arns["internal"]}/tmp/exec/*"]
  }

  statement {
    sid       = "OwnLog"
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [local.log_group_arns["codebuild"], "${local.log_group_arns["codebuild"]}:*"]
  }
}

data "aws_iam_policy_document" "watchdog" {
  statement {
    sid       = "Check"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.function_arns["watchdog_check"]]
  }
}
