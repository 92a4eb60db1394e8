locals {
  route = "POST /webhook"
}

resource "aws_apigatewayv2_api" "webhook" {
  name          = local.names["webhook"]
  description   = "Takes jobs. process_webhook itself authenticates them by their HMAC."
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "process_webhook" {
  api_id                 = aws_apigatewayv2_api.webhook.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.handler["process_webhook"].invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "webhook" {
  api_id    = aws_apigatewayv2_api.webhook.id
  route_key = local.route
  target    = "integrations/${aws_apigatewayv2_integration.process_webhook.id}"
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.webhook.id
  name        = "$default"
  auto_deploy = true

  # The endpoint is public: strangers must not use up the account's concurrency of functions.
  default_route_settings {
    throttling_burst_limit = 50
    throttling_rate_limit  = 25
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.log["webhook"].arn
    format = jsonencode({
      error      = "$context.error.message"
      ip         = "$context.identity.sourceIp"
      latency_ms = "$context.responseLatency"
      request_id = "$context.requestId"
      route      = "$context.routeKey"
      status     = "$context.status"
      time       = "$context.requestTime"
      upstream   = "$context.integrationErrorMessage"
    })
  }
}

resource "aws_lambda_permission" "api" {
  statement_id  = "api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.handler["process_webhook"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.webhook.execution_arn}/*/${replace(local.route, " ", "")}"
}
