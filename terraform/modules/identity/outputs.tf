output "task_role_arn" {
  description = "Role of the flows' pods; null without pods."
  value       = try(aws_iam_role.pods["tasks"].arn, null)
}

output "controller_role_arn" {
  description = "Role of Argo's service accounts; null without pods."
  value       = try(aws_iam_role.pods["controller"].arn, null)
}

output "ci_role_arn" {
  description = "Role that GitHub Actions takes; null without."
  value       = one(aws_iam_role.ci[*].arn)
}
