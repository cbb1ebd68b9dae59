# The repository of the flows' images: a tag is never moved, every image is scanned.

resource "aws_ecr_repository" "flows" {
  name                 = "${var.name}/flows"
  image_tag_mutability = "IMMUTABLE"
  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.kms_key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "flows" {
  repository = aws_ecr_repository.flows.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "the newest ${var.image_count}"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = var.image_count }
      action       = { type = "expire" }
    }]
  })
}
