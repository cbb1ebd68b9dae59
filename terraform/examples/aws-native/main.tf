# AWS alone: Step Functions and Batch in a VPC of its own, a bucket, roles for jobs, state machines, schedules and CI.

data "aws_caller_identity" "me" {}

locals {
  endpoints = ["ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "events", "logs", "secretsmanager", "states", "sts"]
  datastore = { bucket_arn = module.datastore.bucket_arn, prefix = module.datastore.prefix, kms_key_arn = module.datastore.kms_key_arn }
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
}

module "datastore" {
  source             = "../../modules/datastore"
  bucket             = "${var.name}-${data.aws_caller_identity.me.account_id}-${var.region}"
  kms_key_arn        = module.key.arn
  force_destroy      = var.force_destroy
  log_retention_days = var.log_retention_days
}

module "images" {
  count       = var.repository ? 1 : 0
  source      = "../../modules/images"
  name        = var.name
  kms_key_arn = module.key.arn
}

module "native" {
  source               = "../../modules/aws-native"
  name                 = var.name
  flow_prefix          = var.flow_prefix
  stack_prefix         = var.stack_prefix
  vpc_id               = module.network.vpc_id
  vpc_cidr             = module.network.cidr
  subnet_ids           = module.network.private_subnet_ids
  datastore            = local.datastore
  kms_key_arn          = module.key.arn
  compute_environments = var.compute_environments
  default_queue        = var.default_queue
  secret_arns          = var.secret_arns
  event_bus            = var.event_bus
  table                = var.table
  alarm_topic          = var.alarm_topic_arn == null ? null : { arn = var.alarm_topic_arn }
  log_retention_days   = var.log_retention_days
}

module "identity" {
  source    = "../../modules/identity"
  name      = var.name
  mechanism = "none"
  ci = var.github == null ? null : {
    repository      = var.github.repository
    subjects        = var.github.subjects
    provider_arn    = var.github.provider_arn
    repository_arns = module.images[*].arn
    policy_json     = module.native.deploy_policy_json
  }
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
