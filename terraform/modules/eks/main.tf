# The control plane: private unless addresses are named, Secrets encrypted, everything logged, access by IAM alone.

data "aws_caller_identity" "me" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  policies = "arn:${data.aws_partition.here.partition}:iam::aws:policy"
  views    = "arn:${data.aws_partition.here.partition}:eks::aws:cluster-access-policy"
}

data "aws_iam_policy_document" "assume" {
  for_each = toset(["eks", "ec2"])
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "cluster" {
  name               = "${var.name}-cluster"
  assume_role_policy = data.aws_iam_policy_document.assume["eks"].json
}

resource "aws_iam_role_policy_attachment" "cluster" {
  role       = aws_iam_role.cluster.name
  policy_arn = "${local.policies}/AmazonEKSClusterPolicy"
}

data "aws_iam_policy_document" "secrets" {
  statement {
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey", "kms:ListGrants"]
    resources = [var.kms_key_arn]
  }
  statement {
    actions   = ["kms:CreateGrant"]
    resources = [var.kms_key_arn]
    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.cluster.id
  policy = data.aws_iam_policy_document.secrets.json
}

resource "aws_cloudwatch_log_group" "cluster" {
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_eks_cluster" "this" {
  #checkov:skip=CKV_AWS_38:the addresses are the user's own; a validation refuses anything wider than /8
  #checkov:skip=CKV_AWS_39:public only where public_access_cidrs names addresses; the default is private
  #checkov:skip=CKV_AWS_37:log_types is a variable, by default all five
  name                      = var.name
  version                   = var.kubernetes_version
  role_arn                  = aws_iam_role.cluster.arn
  enabled_cluster_log_types = var.log_types
  vpc_config {
    subnet_ids              = var.subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.public_access_cidrs) > 0
    public_access_cidrs     = length(var.public_access_cidrs) > 0 ? var.public_access_cidrs : null
  }
  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = var.kms_key_arn
    }
  }
  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = true
  }
  depends_on = [aws_iam_role_policy_attachment.cluster, aws_iam_role_policy.secrets, aws_cloudwatch_log_group.cluster]
}

# pods become IAM roles by the tokens of their service accounts
resource "aws_iam_openid_connect_provider" "pods" {
  url             = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = []
  lifecycle {
    # AWS trusts the root authorities of its own issuers and fills this in by itself
    ignore_changes = [thumbprint_list]
  }
}

# --- who may do what in it -------------------------------------------------------------------------------------------------

resource "aws_eks_access_entry" "admin" {
  for_each      = var.access_entries ? var.admin_role_arns : []
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
}

resource "aws_eks_access_policy_association" "admin" {
  for_each      = var.access_entries ? var.admin_role_arns : []
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
  policy_arn    = "${local.views}/AmazonEKSClusterAdminPolicy"
  access_scope {
    type = "cluster"
  }
  depends_on = [aws_eks_access_entry.admin]
}

# the group is bound to a Role by deploy/: Argo's kinds are in none of the policies of EKS
resource "aws_eks_access_entry" "deployer" {
  for_each          = var.access_entries ? var.deployers : {}
  cluster_name      = aws_eks_cluster.this.name
  principal_arn     = each.value.role_arn
  kubernetes_groups = ["metaflow-deployers"]
}

resource "aws_eks_access_policy_association" "deployer" {
  for_each      = var.access_entries ? var.deployers : {}
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.value.role_arn
  policy_arn    = "${local.views}/AmazonEKSViewPolicy"
  access_scope {
    type       = "namespace"
    namespaces = each.value.namespaces
  }
  depends_on = [aws_eks_access_entry.deployer]
}
