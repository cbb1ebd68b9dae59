# Nodes: a small group for Argo and DNS, and groups for flows unless Karpenter makes those.

locals {
  system = {
    instance_types = var.system_instance_types, capacity_type = "ON_DEMAND", min_size = 2, max_size = 4
    disk_gb        = 50, ami_type = "AL2023_x86_64_STANDARD", labels = { "metaflow/pool" = "system" }, taints = []
  }
  groups = var.nodes == "managed" ? var.node_groups : {}
  disks  = toset([for g in concat([local.system], values(local.groups)) : tostring(g.disk_gb)])
}

resource "aws_iam_role" "nodes" {
  name               = "${var.name}-nodes"
  assume_role_policy = data.aws_iam_policy_document.assume["ec2"].json
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly", "AmazonSSMManagedInstanceCore"])
  role       = aws_iam_role.nodes.name
  policy_arn = "${local.policies}/${each.key}"
}

resource "aws_launch_template" "nodes" {
  for_each    = local.disks
  name_prefix = "${var.name}-${each.key}-"
  # a pod is one hop further than its node: it never gets the node's own credentials
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = tonumber(each.key)
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-node" }
  }
}

resource "aws_eks_node_group" "system" {
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "system"
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = var.subnet_ids
  instance_types  = local.system.instance_types
  ami_type        = local.system.ami_type
  labels          = local.system.labels
  launch_template {
    id      = aws_launch_template.nodes[tostring(local.system.disk_gb)].id
    version = aws_launch_template.nodes[tostring(local.system.disk_gb)].latest_version
  }
  scaling_config {
    min_size     = local.system.min_size
    max_size     = local.system.max_size
    desired_size = local.system.min_size
  }
  update_config {
    max_unavailable = 1
  }
  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]
  }
  depends_on = [aws_iam_role_policy_attachment.nodes]
}

resource "aws_eks_node_group" "flows" {
  for_each        = local.groups
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = each.key
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = var.subnet_ids
  instance_types  = each.value.instance_types
  capacity_type   = each.value.capacity_type
  ami_type        = each.value.ami_type
  labels          = merge({ "metaflow/pool" = each.key }, each.value.labels)
  launch_template {
    id      = aws_launch_template.nodes[tostring(each.value.disk_gb)].id
    version = aws_launch_template.nodes[tostring(each.value.disk_gb)].latest_version
  }
  dynamic "taint" {
    for_each = each.value.taints
    content {
      key    = split("=", taint.value)[0]
      value  = split(":", split("=", taint.value)[1])[0]
      effect = split(":", taint.value)[1]
    }
  }
  scaling_config {
    min_size     = each.value.min_size
    max_size     = each.value.max_size
    desired_size = each.value.min_size
  }
  lifecycle {
    # the autoscaler's
    ignore_changes = [scaling_config[0].desired_size]
  }
  depends_on = [aws_iam_role_policy_attachment.nodes]
}

# --- the cluster autoscaler's role -----------------------------------------------------------------------------------------

data "aws_iam_policy_document" "autoscaler" {
  #checkov:skip=CKV_AWS_356:AWS has no narrower resource for these Describe actions
  statement {
    sid = "Look"
    actions = [
      "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLaunchConfigurations",
      "autoscaling:DescribeScalingActivities", "autoscaling:DescribeTags", "ec2:DescribeImages", "ec2:DescribeInstanceTypes",
      "ec2:DescribeLaunchTemplateVersions", "ec2:GetInstanceTypesFromInstanceRequirements", "eks:DescribeNodegroup",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "Scale"
    actions   = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    resources = ["*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/eks:cluster-name"
      values   = [var.name]
    }
  }
}

locals {
  autoscaler = var.cluster_autoscaler && var.nodes == "managed" ? 1 : 0
}

resource "aws_iam_role" "autoscaler" {
  count              = local.autoscaler
  name               = "${var.name}-cluster-autoscaler"
  assume_role_policy = data.aws_iam_policy_document.controller["cluster-autoscaler"].json
}

resource "aws_iam_role_policy" "autoscaler" {
  count  = local.autoscaler
  name   = "scale"
  role   = aws_iam_role.autoscaler[0].id
  policy = data.aws_iam_policy_document.autoscaler.json
}

data "aws_iam_policy_document" "controller" {
  for_each = toset(["cluster-autoscaler", "karpenter"])
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.pods.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = ["system:serviceaccount:kube-system:${each.key}"]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

locals {
  issuer = trimprefix(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://")
}
