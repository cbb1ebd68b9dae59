# What EKS installs and keeps current inside the cluster.

locals {
  addons = var.addons ? merge(
    {
      "vpc-cni"                = jsonencode({ enableNetworkPolicy = tostring(var.network_policy) })
      "kube-proxy"             = null
      "coredns"                = null
      "eks-pod-identity-agent" = null
      "metrics-server"         = null
    },
    var.ebs_volumes ? { "aws-ebs-csi-driver" = null } : {},
    var.observability ? { "amazon-cloudwatch-observability" = null } : {},
  ) : {}
  # the service account and the managed policy of each add-on that calls AWS
  addon_roles = var.addons ? merge(
    var.ebs_volumes ? { "aws-ebs-csi-driver" = { account = "ebs-csi-controller-sa", policy = "service-role/AmazonEBSCSIDriverPolicy" } } : {},
    var.observability ? { "amazon-cloudwatch-observability" = { account = "cloudwatch-agent", policy = "CloudWatchAgentServerPolicy" } } : {},
  ) : {}
}

data "aws_iam_policy_document" "pod_identity" {
  statement {
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
  }
}

resource "aws_iam_role" "addon" {
  for_each           = local.addon_roles
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.pod_identity.json
}

resource "aws_iam_role_policy_attachment" "addon" {
  for_each   = local.addon_roles
  role       = aws_iam_role.addon[each.key].name
  policy_arn = "${local.policies}/${each.value.policy}"
}

resource "aws_eks_addon" "this" {
  for_each                    = local.addons
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  configuration_values        = each.value
  resolve_conflicts_on_update = "OVERWRITE"
  dynamic "pod_identity_association" {
    for_each = contains(keys(local.addon_roles), each.key) ? [local.addon_roles[each.key]] : []
    content {
      role_arn        = aws_iam_role.addon[each.key].arn
      service_account = pod_identity_association.value.account
    }
  }
  # CoreDNS and the metrics server have nowhere to run before there are nodes
  depends_on = [aws_eks_node_group.system]
}
