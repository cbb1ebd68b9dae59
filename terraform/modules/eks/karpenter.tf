# What Karpenter needs of AWS: a role, and a queue that says which nodes are about to go. Its chart and node pools are yours.

locals {
  karpenter = var.nodes == "karpenter" ? 1 : 0
  region    = data.aws_region.here.name
  ec2       = "arn:${data.aws_partition.here.partition}:ec2:${local.region}"
  interruptions = {
    spot        = { source = "aws.ec2", type = "EC2 Spot Instance Interruption Warning" }
    rebalance   = { source = "aws.ec2", type = "EC2 Instance Rebalance Recommendation" }
    state       = { source = "aws.ec2", type = "EC2 Instance State-change Notification" }
    maintenance = { source = "aws.health", type = "AWS Health Event" }
  }
}

data "aws_iam_policy_document" "karpenter" {
  #checkov:skip=CKV_AWS_356:AWS has no narrower resource for these Describe actions
  count = local.karpenter
  statement {
    sid = "Look"
    actions = [
      "ec2:DescribeAvailabilityZones", "ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes",
      "ec2:DescribeLaunchTemplates", "ec2:DescribeSecurityGroups", "ec2:DescribeSpotPriceHistory", "ec2:DescribeSubnets", "pricing:GetProducts",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "Images"
    actions   = ["ssm:GetParameter"]
    resources = ["arn:${data.aws_partition.here.partition}:ssm:${local.region}::parameter/aws/service/*"]
  }
  statement {
    sid     = "LaunchFrom"
    actions = ["ec2:RunInstances", "ec2:CreateFleet"]
    resources = [
      "${local.ec2}::image/*", "${local.ec2}::snapshot/*", "${local.ec2}:*:security-group/*", "${local.ec2}:*:subnet/*",
      "${local.ec2}:*:capacity-reservation/*",
    ]
  }
  # only what carries this cluster's tag is made, and only that is ended
  statement {
    sid     = "Launch"
    actions = ["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"]
    resources = [
      "${local.ec2}:*:fleet/*", "${local.ec2}:*:instance/*", "${local.ec2}:*:volume/*", "${local.ec2}:*:network-interface/*",
      "${local.ec2}:*:launch-template/*", "${local.ec2}:*:spot-instances-request/*",
    ]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes.io/cluster/${var.name}"
      values   = ["owned"]
    }
  }
  statement {
    sid       = "LaunchTemplate"
    actions   = ["ec2:RunInstances", "ec2:CreateFleet"]
    resources = ["${local.ec2}:*:launch-template/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/kubernetes.io/cluster/${var.name}"
      values   = ["owned"]
    }
  }
  statement {
    sid       = "TagAtLaunch"
    actions   = ["ec2:CreateTags"]
    resources = ["${local.ec2}:*:*/*"]
    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]
    }
  }
  statement {
    sid       = "Own"
    actions   = ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate", "ec2:CreateTags"]
    resources = ["${local.ec2}:*:instance/*", "${local.ec2}:*:launch-template/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/kubernetes.io/cluster/${var.name}"
      values   = ["owned"]
    }
  }
  statement {
    sid       = "Queue"
    actions   = ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"]
    resources = [aws_sqs_queue.karpenter[0].arn]
  }
  statement {
    sid       = "Cluster"
    actions   = ["eks:DescribeCluster"]
    resources = [aws_eks_cluster.this.arn]
  }
  statement {
    sid       = "NodeRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.nodes.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com"]
    }
  }
  statement {
    sid       = "Profile"
    actions   = ["iam:GetInstanceProfile"]
    resources = [aws_iam_instance_profile.karpenter[0].arn]
  }
}

resource "aws_iam_instance_profile" "karpenter" {
  count = local.karpenter
  name  = "${var.name}-karpenter-nodes"
  role  = aws_iam_role.nodes.name
}

resource "aws_iam_role" "karpenter" {
  count              = local.karpenter
  name               = "${var.name}-karpenter"
  assume_role_policy = data.aws_iam_policy_document.controller["karpenter"].json
}

resource "aws_iam_role_policy" "karpenter" {
  count  = local.karpenter
  name   = "nodes"
  role   = aws_iam_role.karpenter[0].id
  policy = data.aws_iam_policy_document.karpenter[0].json
}

# nodes of managed groups get their entry from EKS, Karpenter's do not
resource "aws_eks_access_entry" "karpenter_nodes" {
  count         = var.access_entries ? local.karpenter : 0
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_iam_role.nodes.arn
  type          = "EC2_LINUX"
}

resource "aws_sqs_queue" "karpenter" {
  count                     = local.karpenter
  name                      = "${var.name}-karpenter"
  message_retention_seconds = 300
  # EventBridge delivers to it by a key policy of AWS' own
  sqs_managed_sse_enabled = true
}

data "aws_iam_policy_document" "karpenter_queue" {
  count = local.karpenter
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.karpenter[0].arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for rule in aws_cloudwatch_event_rule.karpenter : rule.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "karpenter" {
  count     = local.karpenter
  queue_url = aws_sqs_queue.karpenter[0].url
  policy    = data.aws_iam_policy_document.karpenter_queue[0].json
}

resource "aws_cloudwatch_event_rule" "karpenter" {
  for_each      = local.karpenter == 1 ? local.interruptions : {}
  name          = "${var.name}-karpenter-${each.key}"
  event_pattern = jsonencode({ source = [each.value.source], "detail-type" = [each.value.type] })
}

resource "aws_cloudwatch_event_target" "karpenter" {
  for_each = aws_cloudwatch_event_rule.karpenter
  rule     = each.value.name
  arn      = aws_sqs_queue.karpenter[0].arn
}
