# Kubernetes for flows: EKS in a VPC of its own, a bucket, roles for pods, Argo and CI. Argo itself comes from deploy/eks.

data "aws_caller_identity" "me" {}

locals {
  endpoints = ["ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "autoscaling", "logs", "secretsmanager", "sts"]
  # the service accounts of deploy/base
  accounts = { tasks = "metaflow-tasks", events = "metaflow-events" }
}

module "key" {
  source = "../../modules/key"
  name   = var.name
}

module "network" {
  source              = "../../modules/network"
  name                = var.name
  cidr                = var.cidr
  zones               = var.zones
  nat                 = var.nat
  interface_endpoints = var.private_endpoints ? local.endpoints : []
  kms_key_arn         = module.key.arn
  log_retention_days  = var.log_retention_days
  private_subnet_tags = { "karpenter.sh/discovery" = var.name }
}

module "eks" {
  source              = "../../modules/eks"
  name                = var.name
  kubernetes_version  = var.kubernetes_version
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.private_subnet_ids
  kms_key_arn         = module.key.arn
  public_access_cidrs = var.api_cidrs
  admin_role_arns     = var.admin_role_arns
  nodes               = var.nodes
  node_groups         = var.node_groups
  network_policy      = var.network_policy
  observability       = var.observability
  addons              = var.eks_extras
  access_entries      = var.eks_extras
  log_retention_days  = var.log_retention_days
  deployers           = var.github == null ? {} : { ci = { role_arn = module.identity.ci_role_arn, namespaces = [var.namespace] } }
}

module "datastore" {
  source             = "../../modules/datastore"
  bucket             = "${var.name}-${data.aws_caller_identity.me.account_id}-${var.region}"
  kms_key_arn        = module.key.arn
  force_destroy      = var.force_destroy
  log_retention_days = var.log_retention_days
}

module "identity" {
  source               = "../../modules/identity"
  name                 = var.name
  mechanism            = var.pod_roles
  cluster_name         = var.name
  oidc                 = { provider_arn = module.eks.oidc_provider_arn, issuer = module.eks.oidc_issuer }
  namespace            = var.namespace
  task_service_account = local.accounts.tasks
  datastore            = { bucket_arn = module.datastore.bucket_arn, prefix = module.datastore.prefix, kms_key_arn = module.datastore.kms_key_arn }
  secret_arns          = var.secret_arns
  ci = var.github == null ? null : {
    repository      = var.github.repository
    subjects        = var.github.subjects
    provider_arn    = var.github.provider_arn
    cluster_arn     = "arn:${data.aws_partition.here.partition}:eks:${var.region}:${data.aws_caller_identity.me.account_id}:cluster/${var.name}"
    repository_arns = module.images[*].arn
  }
}

data "aws_partition" "here" {}

module "images" {
  count       = var.repository ? 1 : 0
  source      = "../../modules/images"
  name        = var.name
  kms_key_arn = module.key.arn
}

module "metadata" {
  count               = var.metadata_service ? 1 : 0
  source              = "../../modules/metadata"
  name                = var.name
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.private_subnet_ids
  client_cidr         = module.network.cidr
  kms_key_arn         = module.key.arn
  deletion_protection = !var.force_destroy
  log_retention_days  = var.log_retention_days
}
