# What process_webhook and orchestrator could not do, as Lambda reports it: event and error.

resource "aws_sqs_queue" "failures" {
  name                      = local.names["failures"]
  message_retention_seconds = 1209600 # 14 days, the longest
  sqs_managed_sse_enabled   = true
}
