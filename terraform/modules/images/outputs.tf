output "url" {
  description = "Where images are pushed and pulled, without a tag."
  value       = aws_ecr_repository.flows.repository_url
}

output "arn" {
  description = "The repository's ARN."
  value       = aws_ecr_repository.flows.arn
}
