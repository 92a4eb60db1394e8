locals {
  function_alarms = merge([
    for key, _ in local.functions : {
      for metric in ["Errors", "Throttles"] : "${key}-${lower(metric)}" => {
        namespace  = "AWS/Lambda"
        metric     = metric
        statistic  = "Sum"
        dimensions = { FunctionName = local.names[key] }
      }
    }
  ]...)

  alarms = merge(local.function_alarms, {
    failures-not-empty = {
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      statistic  = "Maximum"
      dimensions = { QueueName = local.names["failures"] }
    }
  })
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each = { for key, alarm in local.alarms : key => alarm if var.alarm_topic_arn != null }

  alarm_name          = "iac-ci-${each.key}-${local.hash}"
  alarm_description   = "docs/how-to/find-out-why-a-run-failed.md of iac-ci says what to look at"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.alarm_topic_arn]
}
