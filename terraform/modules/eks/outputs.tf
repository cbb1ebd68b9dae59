output "name" {
  description = "Name of the cluster: aws eks update-kubeconfig --name."
  value       = aws_eks_cluster.this.name
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_eks_cluster.this.arn
}

output "endpoint" {
  description = "Address of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "oidc_provider_arn" {
  description = "What trust policies of pods' roles name."
  value       = aws_iam_openid_connect_provider.pods.arn
}

output "oidc_issuer" {
  description = "The issuer without https://, the prefix of the conditions in such policies."
  value       = local.issuer
}

output "node_role_arn" {
  description = "Role of the nodes; a Karpenter EC2NodeClass names it, or the profile."
  value       = aws_iam_role.nodes.arn
}

output "cluster_autoscaler_role_arn" {
  description = "Role of the service account kube-system/cluster-autoscaler; null without."
  value       = one(aws_iam_role.autoscaler[*].arn)
}

output "karpenter" {
  description = "Role of the service account kube-system/karpenter, its queue and the nodes' instance profile; null without."
  value = local.karpenter == 0 ? null : {
    role_arn         = aws_iam_role.karpenter[0].arn
    queue            = aws_sqs_queue.karpenter[0].name
    instance_profile = aws_iam_instance_profile.karpenter[0].name
  }
}
