terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.95, < 6.0" }
  }
  # keep the state where your team does: it holds no secrets of flowc's, but it names everything
  # backend "s3" { bucket = "...", key = "metaflow", region = "...", use_lockfile = true }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = merge({ "metaflow" = var.name }, var.tags)
  }
}
