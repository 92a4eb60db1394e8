locals {
  # API Gateway keeps one resource policy for all groups under /aws/vendedlogs, else one for each.
  log_groups = merge(
    { for key, _ in local.functions : key => "/aws/lambda/${local.names[key]}" },
    {
      codebuild = "/aws/codebuild/${local.names["worker"]}"
      webhook   = "/aws/vendedlogs/${local.names["webhook"]}"
    },
  )
}

resource "aws_cloudwatch_log_group" "log" {
  for_each = local.log_groups

  name              = each.value
  retention_in_days = var.log_retention_days
}
