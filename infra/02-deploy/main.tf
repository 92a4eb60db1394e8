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
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.id # .name is deprecated in 6.x, .region unknown to 5.x

  # Keeps workspaces and regions of one account apart, and accounts by the salt.
  hash = substr(sha256("${terraform.workspace}${var.aws_region}${var.salt}"), -5, 5)

  names = {
    for key in [
      "codebuild", "done", "failures", "internal", "orchestrator", "orchestrator_locks",
      "order_events", "orders", "process_webhook", "watchdog", "watchdog_check", "webhook", "worker",
    ] : key => "iac-ci-${key}-${local.hash}"
  }

  image = "${var.ecr_repo}:${var.image_tag}"

  bucket_arns   = { for key in local.buckets : key => "arn:${local.partition}:s3:::${local.names[key]}" }
  function_arns = { for key, _ in local.functions : key => "${local.lambda}:function:${local.names[key]}" }
  table_arns    = { for key, _ in local.tables : key => "${local.dynamodb}:table/${local.names[key]}" }

  build_project_arn = "arn:${local.partition}:codebuild:${local.region}:${local.account}:project/${local.names["worker"]}"
  failures_arn      = "arn:${local.partition}:sqs:${local.region}:${local.account}:${local.names["failures"]}"
  state_machine_arn = "arn:${local.partition}:states:${local.region}:${local.account}:stateMachine:${local.names["watchdog"]}"
}
