# Roles: of the flows' pods, of Argo, and of CI. Each may do what is named here and nothing more.

locals {
  pods = var.mechanism == "none" ? {} : merge(
    { (var.task_service_account) = "tasks" },
    { for account in var.controller_service_accounts : account => "controller" },
  )
  roles = toset(values(local.pods))
}

data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "trust" {
  for_each = local.roles
  dynamic "statement" {
    for_each = var.mechanism == "irsa" ? [1] : []
    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]
      principals {
        type        = "Federated"
        identifiers = [var.oidc.provider_arn]
      }
      condition {
        test     = "StringEquals"
        variable = "${var.oidc.issuer}:sub"
        values   = [for account, role in local.pods : "system:serviceaccount:${var.namespace}:${account}" if role == each.key]
      }
      condition {
        test     = "StringEquals"
        variable = "${var.oidc.issuer}:aud"
        values   = ["sts.amazonaws.com"]
      }
    }
  }
  dynamic "statement" {
    for_each = var.mechanism == "pod-identity" ? [1] : []
    content {
      actions = ["sts:AssumeRole", "sts:TagSession"]
      principals {
        type        = "Service"
        identifiers = ["pods.eks.amazonaws.com"]
      }
      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [data.aws_caller_identity.me.account_id]
      }
      condition {
        test     = "StringEquals"
        variable = "aws:RequestTag/kubernetes-namespace"
        values   = [var.namespace]
      }
    }
  }
}

resource "aws_iam_role" "pods" {
  for_each           = local.roles
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
}

resource "aws_eks_pod_identity_association" "pods" {
  for_each        = var.mechanism == "pod-identity" ? local.pods : {}
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = each.key
  role_arn        = aws_iam_role.pods[each.value].arn
}

# --- pods of flows ---------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "tasks" {
  count = var.mechanism == "none" ? 0 : 1
  # of the whole bucket: else S3 calls an object forbidden that is not there, and Metaflow takes that for an error
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [var.datastore.bucket_arn]
  }
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = ["${var.datastore.bucket_arn}/${var.datastore.prefix}/*"]
  }
  statement {
    sid       = "ArchiveLogs"
    actions   = ["s3:PutObject"]
    resources = ["${var.datastore.bucket_arn}/${var.logs_prefix}/*"]
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.datastore.kms_key_arn]
  }
  dynamic "statement" {
    for_each = length(var.secret_arns) > 0 ? [1] : []
    content {
      sid       = "Secrets"
      actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
      resources = var.secret_arns
    }
  }
}

data "aws_iam_policy_document" "controller" {
  count = var.mechanism == "none" ? 0 : 1
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [var.datastore.bucket_arn]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${var.logs_prefix}/*"]
    }
  }
  statement {
    sid       = "ReadLogs"
    actions   = ["s3:GetObject"]
    resources = ["${var.datastore.bucket_arn}/${var.logs_prefix}/*"]
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt"]
    resources = [var.datastore.kms_key_arn]
  }
}

resource "aws_iam_role_policy" "pods" {
  for_each = local.roles
  name     = "datastore"
  role     = aws_iam_role.pods[each.key].id
  policy   = each.key == "tasks" ? data.aws_iam_policy_document.tasks[0].json : data.aws_iam_policy_document.controller[0].json
}

resource "aws_iam_role_policy_attachment" "tasks" {
  for_each   = var.mechanism == "none" ? [] : var.task_policy_arns
  role       = aws_iam_role.pods["tasks"].name
  policy_arn = each.key
}

# --- CI --------------------------------------------------------------------------------------------------------------------

resource "aws_iam_openid_connect_provider" "github" {
  count           = var.ci == null ? 0 : var.ci.provider_arn == null ? 1 : 0
  url             = "https://token.actions.githubusercontent.com"
  client_id_list  = ["sts.amazonaws.com"]
  thumbprint_list = []
  lifecycle {
    # AWS knows GitHub's authority and fills this in by itself
    ignore_changes = [thumbprint_list]
  }
}

locals {
  github = var.ci == null ? null : var.ci.provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.ci.provider_arn
}

data "aws_iam_policy_document" "ci_trust" {
  count = var.ci == null ? 0 : 1
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [local.github]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = "StringLike"
      variable = "token.actions.githubusercontent.com:sub"
      values   = [for subject in var.ci.subjects : "repo:${var.ci.repository}:${subject}"]
    }
  }
}

data "aws_iam_policy_document" "ci" {
  count                   = var.ci == null ? 0 : 1
  source_policy_documents = var.ci.policy_json == null ? [] : [var.ci.policy_json]
  dynamic "statement" {
    for_each = var.ci.cluster_arn == null ? [] : [var.ci.cluster_arn]
    content {
      sid       = "Cluster"
      actions   = ["eks:DescribeCluster"]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = length(var.ci.repository_arns) > 0 ? [1] : []
    content {
      sid = "Images"
      actions = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
        "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
      ]
      resources = var.ci.repository_arns
    }
  }
  dynamic "statement" {
    for_each = length(var.ci.repository_arns) > 0 ? [1] : []
    content {
      sid       = "Login"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }
}

resource "aws_iam_role" "ci" {
  count              = var.ci == null ? 0 : 1
  name               = "${var.name}-ci"
  assume_role_policy = data.aws_iam_policy_document.ci_trust[0].json
}

resource "aws_iam_role_policy" "ci" {
  count  = var.ci == null ? 0 : 1
  name   = "deploy"
  role   = aws_iam_role.ci[0].id
  policy = data.aws_iam_policy_document.ci[0].json
}
