output "ecr_repo_arn" {
  description = "ARN of the repository, for the policies of whoever pushes images."
  value       = aws_ecr_repository.image.arn
}

output "ecr_repo_url" {
  description = "URL of the repository: where images are pushed, and ecr_repo of 02-deploy."
  value       = aws_ecr_repository.image.repository_url
}
