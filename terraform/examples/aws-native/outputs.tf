# What flowc reads: terraform output -json | flowc config import -

output "platform" {
  description = "What these outputs are for."
  value       = "aws-native"
}

output "datastore_root" {
  description = "Where artifacts are kept."
  value       = module.datastore.root
}

output "metadata" {
  description = "Metadata provider of the jobs."
  value       = var.metadata_service ? module.metadata[0].metadata : "local"
}

output "batch_queue" {
  description = "Job queue of flows that name none."
  value       = module.native.queue
}

output "batch_job_role_arn" {
  description = "Role of the jobs."
  value       = module.native.job_role_arn
}

output "batch_execution_role_arn" {
  description = "Role that starts the jobs' containers."
  value       = module.native.execution_role_arn
}

output "states_role_arn" {
  description = "Role of the state machines."
  value       = module.native.states_role_arn
}

output "events_role_arn" {
  description = "Role with which EventBridge rules start state machines."
  value       = module.native.events_role_arn
}

output "scheduler_role_arn" {
  description = "Role with which EventBridge Scheduler starts state machines."
  value       = module.native.scheduler_role_arn
}

output "permissions_boundary_arn" {
  description = "The parameter PermissionsBoundary of flows' stacks, where CI deploys them."
  value       = module.native.permissions_boundary_arn
}

output "event_bus" {
  description = "Event bus of @trigger."
  value       = module.native.event_bus
}

output "log_group" {
  description = "Log group of the jobs."
  value       = module.native.log_group
}

output "executions_log_group_arn" {
  description = "Log group of the executions."
  value       = module.native.executions_log_group_arn
}

output "region" {
  description = "AWS region."
  value       = var.region
}

# --- for people ------------------------------------------------------------------------------------------------------------

output "batch_queues" {
  description = "All job queues by name: @batch(queue=...) chooses one."
  value       = module.native.queues
}

output "image_repository" {
  description = "Where images of flows are pushed; null without."
  value       = one(module.images[*].url)
}

output "ci_role_arn" {
  description = "Role of GitHub's workflows; null without."
  value       = module.identity.ci_role_arn
}

output "table" {
  description = "DynamoDB table of Metaflow's own compiler; null without."
  value       = module.native.table
}
