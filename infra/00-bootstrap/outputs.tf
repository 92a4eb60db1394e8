output "bucket_arn" {
  description = "ARN of the state bucket, for the policies of whoever deploys."
  value       = aws_s3_bucket.state.arn
}

output "bucket_name" {
  description = "Name of the state bucket, the second argument of scripts/generate_backend.sh."
  value       = aws_s3_bucket.state.bucket
}
