# Names and ARNs of everything deployed. ARNs are built from names, so that every policy and the
# state machine's definition are known at plan time and no cycle arises.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = {
      project   = "iac-ci"
      workspace = terraform.workspace
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # Keeps workspaces and regions of one account apart, and accounts by the salt.
  hash = substr(sha256("${terraform.workspace}${var.aws_region}${var.salt}"), -5, 5)

  names = {
    for key in [
      "codebuild", "done", "failures", "internal", "orchestrator", "orchestrator_locks",
      "order_events", "orders", "process_webhook", "watchdog", "watchdog_check", "webhook",
      "worker",
    ] : key => "iac-ci-${key}-${local.hash}"
  }

  image = "${var.ecr_repo}:${var.image_tag}"

  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}"
  region  = data.aws_region.current # whole: provider 5.x has no `region`, 6.x warns of the others
  here    = "${try(local.region.region, local.region.name)}:${local.account}"

  bucket_arns = {
    for key in local.buckets : key => "${local.arn}:s3:::${local.names[key]}"
  }
  function_arns = {
    for key, _ in local.functions :
    key => "${local.arn}:lambda:${local.here}:function:${local.names[key]}"
  }
  log_group_arns = {
    for key, name in local.log_groups : key => "${local.arn}:logs:${local.here}:log-group:${name}"
  }
  table_arns = {
    for key, _ in local.tables :
    key => "${local.arn}:dynamodb:${local.here}:table/${local.names[key]}"
  }

  build_project_arn = "${local.arn}:codebuild:${local.here}:project/${local.names["worker"]}"
  failures_arn      = "${local.arn}:sqs:${local.here}:${local.names["failures"]}"
  state_machine_arn = "${local.arn}:states:${local.here}:stateMachine:${local.names["watchdog"]}"

  # The repository without its registry's host: functions pull from their own account and region.
  repository     = replace(var.ecr_repo, "/^[^/]+[/]/", "")
  repository_arn = "${local.arn}:ecr:${local.here}:repository/${local.repository}"
}
