output "api_gateway_id" {
  description = "Id of the HTTP API."
  value       = aws_apigatewayv2_api.webhook.id
}

output "api_gateway_url" {
  description = "Where jobs are posted: the API's URL, ending in /webhook."
  value       = "${aws_apigatewayv2_api.webhook.api_endpoint}${split(" ", local.route)[1]}"
}

output "codebuild_project_name" {
  description = "Name of the CodeBuild project."
  value       = aws_codebuild_project.worker.name
}

output "dynamodb_table_names" {
  description = "Names of the tables by key: order_events, orchestrator_locks, orders."
  value       = { for key, table in aws_dynamodb_table.table : key => table.name }
}

output "lambda_function_arns" {
  description = "ARNs of the functions by key, such as process_webhook."
  value       = { for key, function in aws_lambda_function.handler : key => function.arn }
}

output "lambda_function_names" {
  description = "Names of the functions by key, such as process_webhook."
  value       = { for key, function in aws_lambda_function.handler : key => function.function_name }
}

output "s3_bucket_names" {
  description = "Names of the buckets by key: done, internal."
  value       = { for key, bucket in aws_s3_bucket.bucket : key => bucket.bucket }
}

output "step_function_arn" {
  description = "ARN of the watchdog state machine."
  value       = aws_sfn_state_machine.watchdog.arn
}
