# Four functions of one image. Variables: src/common/settings.py has one model per handler.

locals {
  code_buckets = [for arn in var.code_bucket_arns : split(":::", arn)[1]]

  environment = {
    IAC_CI_DONE_BUCKET        = local.names["done"]
    IAC_CI_INTERNAL_BUCKET    = local.names["internal"]
    IAC_CI_LOCKS_TABLE        = local.names["orchestrator_locks"]
    IAC_CI_ORDERS_TABLE       = local.names["orders"]
    IAC_CI_ORDER_EVENTS_TABLE = local.names["order_events"]
  }

  functions = {
    orchestrator = {
      timeout           = 600
      memory            = 512
      ephemeral_storage = 512
      environment = {
        IAC_CI_CODEBUILD_PROJECT = local.names["worker"]
        IAC_CI_STATE_MACHINE_ARN = local.state_machine_arn
        IAC_CI_WORKER_FUNCTION   = local.names["worker"]
      }
    }

    process_webhook = {
      timeout           = 300
      memory            = 512
      ephemeral_storage = 512
      environment = {
        IAC_CI_CODE_BUCKETS             = join(",", local.code_buckets)
        IAC_CI_PROCESS_WEBHOOK_FUNCTION = local.names["process_webhook"]
        IAC_CI_REQUIRE_FRESHNESS        = tostring(var.require_freshness)
        IAC_CI_WEBHOOK_SECRET_PARAMETER = var.webhook_secret_parameter
      }
    }

    watchdog_check = {
      timeout           = 60
      memory            = 256
      ephemeral_storage = 512
      environment       = {}
    }

    worker = {
      timeout           = 600
      memory            = 1024
      ephemeral_storage = var.worker_ephemeral_storage_mb
      environment       = {}
    }
  }
}

resource "aws_lambda_function" "handler" {
  for_each = local.functions

  function_name = local.names[each.key]
  role          = aws_iam_role.role[each.key].arn
  package_type  = "Image"
  image_uri     = local.image
  timeout       = each.value.timeout
  memory_size   = each.value.memory

  image_config {
    command = ["src.${each.key}.handler.handler"]
  }

  ephemeral_storage {
    size = each.value.ephemeral_storage
  }

  environment {
    variables = merge(local.environment, each.value.environment)
  }

  # The first invocation would make the log group itself, without retention, and fail on what its
  # role may not do yet.
  depends_on = [aws_cloudwatch_log_group.log, aws_iam_role_policy.policy]
}

resource "aws_lambda_function_url" "process_webhook" {
  function_name      = aws_lambda_function.handler["process_webhook"].function_name
  authorization_type = "AWS_IAM"
}

resource "aws_lambda_permission" "sns" {
  for_each = toset(var.sns_topic_arns)

  statement_id  = "sns-${substr(sha256(each.key), 0, 8)}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.handler["process_webhook"].function_name
  principal     = "sns.amazonaws.com"
  source_arn    = each.key
}

# Lambda stops a chain of about 16 S3 -> Lambda -> S3 hops as a loop gone wild. A run is such a
# chain, a hop for each level of its graph, and ends with it: the job's DAG bounds the loop.
resource "aws_lambda_function_recursion_config" "orchestrator" {
  function_name  = aws_lambda_function.handler["orchestrator"].function_name
  recursive_loop = "Allow"
}

# What still fails after Lambda's two repetitions is kept, for alarm and replay.
resource "aws_lambda_function_event_invoke_config" "handler" {
  for_each = toset(["orchestrator", "process_webhook"])

  function_name                = aws_lambda_function.handler[each.key].function_name
  maximum_event_age_in_seconds = 21600 # the most: unset, its default would show in every plan
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = local.failures_arn
    }
  }

  depends_on = [aws_sqs_queue.failures]
}

# An order must be claimed within 10 minutes of its hand-over, later events are dropped. No failure
# destination: the watchdog reports the order, and its payload opens the order's bundle.
resource "aws_lambda_function_event_invoke_config" "worker" {
  function_name                = aws_lambda_function.handler["worker"].function_name
  maximum_event_age_in_seconds = 600
  maximum_retry_attempts       = 2
}
