# Runs the orders that a Lambda cannot (use_lambda: false), in the functions' own image.

resource "aws_codebuild_project" "worker" {
  name         = local.names["worker"]
  description  = "Runs orders of jobs that a Lambda cannot"
  service_role = aws_iam_role.role["codebuild"].arn

  build_timeout  = 190 # minutes: an order may take 180, its code and result a few more
  queued_timeout = 60  # minutes: an order that is not claimed by then has failed

  source {
    type = "NO_SOURCE"
    buildspec = yamlencode({
      version = "0.2"
      phases = {
        build = {
          commands = ["cd \"$${LAMBDA_TASK_ROOT:-/var/task}\" && python -m src.worker"]
        }
      }
    })
  }

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type                        = "LINUX_CONTAINER"
    compute_type                = "BUILD_GENERAL1_SMALL"
    image                       = local.image
    image_pull_credentials_type = "SERVICE_ROLE"
    privileged_mode             = false

    dynamic "environment_variable" {
      for_each = local.environment

      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.log["codebuild"].name
    }
  }

  depends_on = [aws_iam_role_policy.policy]
}
