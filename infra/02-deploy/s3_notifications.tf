resource "aws_lambda_permission" "s3" {
  statement_id   = "s3"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.handler["orchestrator"].function_name
  principal      = "s3.amazonaws.com"
  source_arn     = local.bucket_arns["internal"]
  source_account = local.account # a bucket's ARN names no account, and its name may be taken over
}

resource "aws_s3_bucket_notification" "internal" {
  bucket = aws_s3_bucket.bucket["internal"].bucket

  lambda_function {
    lambda_function_arn = local.function_arns["orchestrator"]
    events              = ["s3:ObjectCreated:*"]
    filter_prefix       = "tmp/callbacks/runs/"
    filter_suffix       = "result.json"
  }

  # S3 tries the permission before it takes the notification.
  depends_on = [aws_lambda_permission.s3]
}
