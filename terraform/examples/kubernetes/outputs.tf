# What flowc reads: terraform output -json | flowc config import -

output "platform" {
  description = "What these outputs are for."
  value       = "kubernetes"
}

output "namespace" {
  description = "Namespace of the flows."
  value       = var.namespace
}

output "service_account" {
  description = "Service account of the flows' pods."
  value       = local.accounts.tasks
}

output "datastore_root" {
  description = "Where artifacts are kept."
  value       = module.datastore.root
}

output "metadata" {
  description = "Metadata provider of the pods."
  value       = var.metadata_service ? module.metadata[0].metadata : "local"
}

output "events_event" {
  description = "Argo event that @trigger listens to (deploy/components/events)."
  value       = "metaflow-event"
}

output "events_event_source" {
  description = "EventSource of the Sensors (deploy/components/events)."
  value       = "metaflow"
}

output "events_service_account" {
  description = "Service account of the Sensors (deploy/components/events)."
  value       = local.accounts.events
}

output "task_role_arn" {
  description = "Role of the flows' pods, for the annotation of their service account; null with pod identity, which needs none."
  value       = var.pod_roles == "irsa" ? module.identity.task_role_arn : null
}

output "controller_role_arn" {
  description = "Role of Argo's service accounts; null with pod identity."
  value       = var.pod_roles == "irsa" ? module.identity.controller_role_arn : null
}

output "region" {
  description = "AWS region."
  value       = var.region
}

# --- for people ------------------------------------------------------------------------------------------------------------

output "cluster_name" {
  description = "aws eks update-kubeconfig --name NAME"
  value       = module.eks.name
}

output "image_repository" {
  description = "Where images of flows are pushed; null without."
  value       = one(module.images[*].url)
}

output "ci_role_arn" {
  description = "Role of GitHub's workflows; null without."
  value       = module.identity.ci_role_arn
}

output "cluster_autoscaler_role_arn" {
  description = "Role of the cluster autoscaler; null with Karpenter."
  value       = module.eks.cluster_autoscaler_role_arn
}

output "karpenter" {
  description = "Role, queue and instance profile of Karpenter; null without."
  value       = module.eks.karpenter
}
