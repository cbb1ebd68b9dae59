# Compute environments, a queue each, and the roles of their instances and jobs.

data "aws_caller_identity" "me" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  account  = data.aws_caller_identity.me.account_id
  region   = data.aws_region.here.name
  arn      = "arn:${data.aws_partition.here.partition}"
  policies = "${local.arn}:iam::aws:policy"
  ec2      = { for name, c in var.compute_environments : name => c if contains(["EC2", "SPOT"], c.type) }
  results  = var.results_prefix == null ? var.datastore.prefix : var.results_prefix
}

data "aws_iam_policy_document" "assume" {
  for_each = toset(["batch", "ec2", "ecs-tasks", "states", "events", "scheduler"])
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.key}.amazonaws.com"]
    }
    dynamic "condition" {
      # whoever sets up the same service in another account cannot use these roles; the others do not say for whom they act
      for_each = contains(["ecs-tasks", "scheduler", "states"], each.key) ? [local.account] : []
      content {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [condition.value]
      }
    }
  }
}

resource "aws_security_group" "jobs" {
  name        = "${var.name}-jobs"
  description = "Jobs of flows"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "gang" {
  security_group_id            = aws_security_group.jobs.id
  description                  = "Tasks of one @parallel step"
  referenced_security_group_id = aws_security_group.jobs.id
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.jobs.id
  description       = "AWS, packages, data"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "vpc" {
  security_group_id = aws_security_group.jobs.id
  description       = "One another, the metadata service, databases"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "-1"
}

resource "aws_iam_role" "batch" {
  name               = "${var.name}-batch"
  assume_role_policy = data.aws_iam_policy_document.assume["batch"].json
}

resource "aws_iam_role_policy_attachment" "batch" {
  role       = aws_iam_role.batch.name
  policy_arn = "${local.policies}/service-role/AWSBatchServiceRole"
}

resource "aws_iam_role" "instances" {
  name               = "${var.name}-batch-instances"
  assume_role_policy = data.aws_iam_policy_document.assume["ec2"].json
}

resource "aws_iam_role_policy_attachment" "instances" {
  for_each   = toset(["service-role/AmazonEC2ContainerServiceforEC2Role", "AmazonSSMManagedInstanceCore"])
  role       = aws_iam_role.instances.name
  policy_arn = "${local.policies}/${each.key}"
}

resource "aws_iam_instance_profile" "instances" {
  name = "${var.name}-batch-instances"
  role = aws_iam_role.instances.name
}

resource "aws_launch_template" "instances" {
  for_each    = local.ec2
  name_prefix = "${var.name}-${each.key}-"
  # a job is one hop further than its instance: it never gets the instance's own credentials
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = each.value.disk_gb
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }
}

resource "aws_batch_compute_environment" "this" {
  for_each                        = var.compute_environments
  compute_environment_name_prefix = "${var.name}-${each.key}-"
  type                            = "MANAGED"
  state                           = "ENABLED"
  service_role                    = aws_iam_role.batch.arn
  compute_resources {
    type                = each.value.type
    max_vcpus           = each.value.max_vcpus
    min_vcpus           = contains(keys(local.ec2), each.key) ? each.value.min_vcpus : null
    instance_type       = contains(keys(local.ec2), each.key) ? each.value.instance_types : null
    instance_role       = contains(keys(local.ec2), each.key) ? aws_iam_instance_profile.instances.arn : null
    allocation_strategy = { EC2 = "BEST_FIT_PROGRESSIVE", SPOT = "SPOT_PRICE_CAPACITY_OPTIMIZED", FARGATE = null, FARGATE_SPOT = null }[each.value.type]
    security_group_ids  = [aws_security_group.jobs.id]
    subnets             = var.subnet_ids
    dynamic "launch_template" {
      for_each = contains(keys(local.ec2), each.key) ? [aws_launch_template.instances[each.key]] : []
      content {
        launch_template_id = launch_template.value.id
        version            = tostring(launch_template.value.latest_version)
      }
    }
  }
  lifecycle {
    # a queue cannot be without one, and Batch deletes none that a queue still names
    create_before_destroy = true
  }
  depends_on = [aws_iam_role_policy_attachment.batch]
}

resource "aws_batch_job_queue" "this" {
  for_each = var.compute_environments
  name     = "${var.name}-${each.key}"
  state    = "ENABLED"
  priority = each.value.priority
  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.this[each.key].arn
  }
}

# --- what jobs may do ------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "jobs" {
  name              = "/metaflow/${var.name}/jobs"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

data "aws_iam_policy_document" "job" {
  # of the whole bucket: else S3 calls an object forbidden that is not there, and Metaflow takes that for an error
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket"]
    resources = [var.datastore.bucket_arn]
  }
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = distinct(["${var.datastore.bucket_arn}/${var.datastore.prefix}/*", "${var.datastore.bucket_arn}/${local.results}/*"])
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = distinct([var.datastore.kms_key_arn, var.kms_key_arn])
  }
  dynamic "statement" {
    for_each = length(var.secret_arns) > 0 ? [1] : []
    content {
      sid       = "Secrets"
      actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
      resources = var.secret_arns
    }
  }
  dynamic "statement" {
    for_each = var.table ? [1] : []
    content {
      sid       = "Table"
      actions   = ["dynamodb:PutItem", "dynamodb:GetItem", "dynamodb:UpdateItem"]
      resources = aws_dynamodb_table.this[*].arn
    }
  }
}

resource "aws_iam_role" "job" {
  name               = "${var.name}-job"
  assume_role_policy = data.aws_iam_policy_document.assume["ecs-tasks"].json
}

resource "aws_iam_role_policy" "job" {
  name   = "datastore"
  role   = aws_iam_role.job.id
  policy = data.aws_iam_policy_document.job.json
}

resource "aws_iam_role_policy_attachment" "job" {
  for_each   = var.job_policy_arns
  role       = aws_iam_role.job.name
  policy_arn = each.key
}

# starts the container: pulls the image, opens the log
resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.assume["ecs-tasks"].json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "${local.policies}/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_dynamodb_table" "this" {
  count                       = var.table ? 1 : 0
  name                        = "${var.name}-state"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pathspec"
  deletion_protection_enabled = true
  attribute {
    name = "pathspec"
    type = "S"
  }
  ttl {
    attribute_name = "ttl"
    enabled        = true
  }
  point_in_time_recovery {
    enabled = true
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
