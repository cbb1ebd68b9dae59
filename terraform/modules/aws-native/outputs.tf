output "queues" {
  description = "ARNs of the job queues by name."
  value       = { for name, queue in aws_batch_job_queue.this : name => queue.arn }
}

output "queue" {
  description = "ARN of the queue of flows that name none."
  value       = aws_batch_job_queue.this[var.default_queue].arn
}

output "job_role_arn" {
  description = "Role of the jobs."
  value       = aws_iam_role.job.arn
}

output "execution_role_arn" {
  description = "Role that starts their containers."
  value       = aws_iam_role.execution.arn
}

output "states_role_arn" {
  description = "Role of the state machines."
  value       = aws_iam_role.states.arn
}

output "events_role_arn" {
  description = "Role with which EventBridge rules start state machines."
  value       = aws_iam_role.start["events"].arn
}

output "scheduler_role_arn" {
  description = "Role with which EventBridge Scheduler starts state machines."
  value       = aws_iam_role.start["scheduler"].arn
}

output "event_bus" {
  description = "Name of the event bus of @trigger."
  value       = local.bus_name
}

output "log_group" {
  description = "Log group of the jobs."
  value       = aws_cloudwatch_log_group.jobs.name
}

output "executions_log_group_arn" {
  description = "Log group of the executions."
  value       = aws_cloudwatch_log_group.executions.arn
}

output "table" {
  description = "Name of the DynamoDB table; null without."
  value       = one(aws_dynamodb_table.this[*].name)
}

output "permissions_boundary_arn" {
  description = "The parameter PermissionsBoundary of flows' stacks, where CI deploys them."
  value       = aws_iam_policy.boundary.arn
}

output "deploy_policy_json" {
  description = "What whoever deploys flows must be allowed to do; the identity module gives it to CI."
  value       = data.aws_iam_policy_document.deploy.json
}
