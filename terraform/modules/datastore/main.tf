# The bucket of artifacts: encrypted, versioned, never public, over TLS alone.

data "aws_caller_identity" "me" {}
data "aws_partition" "here" {}

locals {
  # what is the same for the bucket and for its access logs
  buckets = merge({ artifacts = aws_s3_bucket.artifacts.id }, { for b in aws_s3_bucket.logs[*].id : "logs" => b })
}

resource "aws_s3_bucket" "artifacts" {
  #checkov:skip=CKV_AWS_144:artifacts can be made again by a run; a copy in another region would double their cost
  #checkov:skip=CKV2_AWS_62:nothing listens to single objects
  bucket        = var.bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket" "logs" {
  #checkov:skip=CKV_AWS_144:access logs need no second region
  #checkov:skip=CKV2_AWS_62:nothing listens to single objects
  #checkov:skip=CKV_AWS_18:logs of the bucket of logs would never end
  #checkov:skip=CKV_AWS_145:S3 delivers access logs only to buckets with its own encryption (SSE-S3)
  count         = var.access_logs ? 1 : 0
  bucket        = "${substr(var.bucket, 0, 58)}-logs"
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = local.buckets
  bucket                  = each.value
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets
  bucket   = each.value
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets
  bucket   = each.value
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  count  = length(aws_s3_bucket.logs)
  bucket = aws_s3_bucket.logs[0].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  #checkov:skip=CKV_AWS_300:the rule `leftovers` has it; the check looks at the rules that switches add
  bucket = aws_s3_bucket.artifacts.id
  rule {
    id     = "leftovers"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }
  }
  dynamic "rule" {
    for_each = var.infrequent_access_days == null ? [] : [var.infrequent_access_days]
    content {
      id     = "cheaper"
      status = "Enabled"
      filter {}
      transition {
        days          = rule.value
        storage_class = "STANDARD_IA"
      }
    }
  }
  dynamic "rule" {
    for_each = var.expiration_days == null ? [] : [var.expiration_days]
    content {
      id     = "expire"
      status = "Enabled"
      filter {}
      expiration {
        days = rule.value
      }
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  count  = length(aws_s3_bucket.logs)
  bucket = aws_s3_bucket.logs[0].id
  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration {
      days = var.log_retention_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 1
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.this]
}

resource "aws_s3_bucket_logging" "artifacts" {
  count         = length(aws_s3_bucket.logs)
  bucket        = aws_s3_bucket.artifacts.id
  target_bucket = aws_s3_bucket.logs[0].id
  target_prefix = "s3/"
  depends_on    = [aws_s3_bucket_policy.logs]
}

data "aws_iam_policy_document" "tls" {
  for_each = local.buckets
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = ["arn:${data.aws_partition.here.partition}:s3:::${each.value}", "arn:${data.aws_partition.here.partition}:s3:::${each.value}/*"]
    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

data "aws_iam_policy_document" "artifacts" {
  source_policy_documents = [data.aws_iam_policy_document.tls["artifacts"].json]
  dynamic "statement" {
    for_each = var.vpc_endpoint_id == null ? [] : [var.vpc_endpoint_id]
    content {
      sid       = "FromTheVpc"
      effect    = "Deny"
      actions   = ["s3:GetObject*", "s3:PutObject*", "s3:DeleteObject*"]
      resources = ["${aws_s3_bucket.artifacts.arn}/*"]
      principals {
        type        = "*"
        identifiers = ["*"]
      }
      condition {
        test     = "StringNotEquals"
        variable = "aws:SourceVpce"
        values   = [statement.value]
      }
      condition {
        test     = "ArnNotLike"
        variable = "aws:PrincipalArn"
        # an empty list would make the condition void, and the statement with it
        values = length(var.trusted_arns) == 0 ? ["arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.me.account_id}:root"] : var.trusted_arns
      }
    }
  }
}

data "aws_iam_policy_document" "logs" {
  count                   = length(aws_s3_bucket.logs)
  source_policy_documents = [data.aws_iam_policy_document.tls["logs"].json]
  statement {
    sid       = "Delivery"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs[0].arn}/s3/*"]
    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.artifacts.arn]
    }
  }
}

resource "aws_s3_bucket_policy" "artifacts" {
  bucket     = aws_s3_bucket.artifacts.id
  policy     = data.aws_iam_policy_document.artifacts.json
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_policy" "logs" {
  count      = length(aws_s3_bucket.logs)
  bucket     = aws_s3_bucket.logs[0].id
  policy     = data.aws_iam_policy_document.logs[0].json
  depends_on = [aws_s3_bucket_public_access_block.this]
}
