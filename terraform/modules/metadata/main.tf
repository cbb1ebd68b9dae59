# Metaflow's metadata service: a container on Fargate behind an internal load balancer, with its own PostgreSQL.

data "aws_region" "here" {}
data "aws_partition" "here" {}

locals {
  port = 8080
  # the migration of the database's tables runs first, in the same task
  environment = [
    { name = "MF_METADATA_DB_HOST", value = aws_db_instance.this.address },
    { name = "MF_METADATA_DB_PORT", value = "5432" },
    { name = "MF_METADATA_DB_NAME", value = "metaflow" },
    { name = "MF_METADATA_DB_SSL_MODE", value = "require" },
  ]
  secrets = [
    { name = "MF_METADATA_DB_USER", valueFrom = "${aws_db_instance.this.master_user_secret[0].secret_arn}:username::" },
    { name = "MF_METADATA_DB_PSWD", valueFrom = "${aws_db_instance.this.master_user_secret[0].secret_arn}:password::" },
  ]
  logs = {
    logDriver = "awslogs"
    options = {
      "awslogs-group"         = aws_cloudwatch_log_group.this.name
      "awslogs-region"        = data.aws_region.here.name
      "awslogs-stream-prefix" = "metadata"
    }
  }
}

# --- who reaches whom ------------------------------------------------------------------------------------------------------

resource "aws_security_group" "this" {
  for_each    = { service = "Metaflow's metadata service", database = "Its database" }
  name        = "${var.name}-metadata-${each.key}"
  description = each.value
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "service" {
  security_group_id = aws_security_group.this["service"].id
  description       = "Flows and people inside the VPC"
  cidr_ipv4         = var.client_cidr
  ip_protocol       = "tcp"
  from_port         = local.port
  to_port           = local.port
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this["service"].id
  description       = "The image, the password and the logs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.this["service"].id
  description                  = "PostgreSQL"
  referenced_security_group_id = aws_security_group.this["database"].id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.this["database"].id
  description                  = "The service alone"
  referenced_security_group_id = aws_security_group.this["service"].id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

# --- the database ----------------------------------------------------------------------------------------------------------

resource "aws_db_subnet_group" "this" {
  name       = "${var.name}-metadata"
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name   = "${var.name}-metadata"
  family = "postgres${var.postgres_version}"
  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
  parameter {
    name  = "log_statement"
    value = "ddl"
  }
  parameter {
    name  = "log_min_duration_statement"
    value = "1000"
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157:multi_az is a variable, by default true
  #checkov:skip=CKV_AWS_293:deletion_protection is a variable, by default true
  #checkov:skip=CKV_AWS_118:enhanced monitoring would need a role and costs; Performance Insights shows the load
  identifier                          = "${var.name}-metadata"
  engine                              = "postgres"
  engine_version                      = var.postgres_version
  instance_class                      = var.instance_class
  db_name                             = "metaflow"
  username                            = "metaflow"
  manage_master_user_password         = true
  master_user_secret_kms_key_id       = var.kms_key_arn
  allocated_storage                   = var.storage_gb
  max_allocated_storage               = var.storage_gb * 10
  storage_type                        = "gp3"
  storage_encrypted                   = true
  kms_key_id                          = var.kms_key_arn
  multi_az                            = var.multi_az
  publicly_accessible                 = false
  db_subnet_group_name                = aws_db_subnet_group.this.name
  vpc_security_group_ids              = [aws_security_group.this["database"].id]
  parameter_group_name                = aws_db_parameter_group.this.name
  backup_retention_period             = var.backup_days
  copy_tags_to_snapshot               = true
  auto_minor_version_upgrade          = true
  iam_database_authentication_enabled = true
  enabled_cloudwatch_logs_exports     = ["postgresql", "upgrade"]
  performance_insights_enabled        = true
  performance_insights_kms_key_id     = var.kms_key_arn
  deletion_protection                 = var.deletion_protection
  skip_final_snapshot                 = !var.deletion_protection
  final_snapshot_identifier           = var.deletion_protection ? "${var.name}-metadata-final" : null
}

# --- the service -----------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "this" {
  name              = "/metaflow/${var.name}/metadata"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "start" {
  statement {
    sid       = "Password"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_db_instance.this.master_user_secret[0].secret_arn]
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt"]
    resources = [var.kms_key_arn]
  }
  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
}

resource "aws_iam_role" "start" {
  name               = "${var.name}-metadata"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "start" {
  name   = "start"
  role   = aws_iam_role.start.id
  policy = data.aws_iam_policy_document.start.json
}

resource "aws_ecs_cluster" "this" {
  name = "${var.name}-metadata"
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_336:the service writes its own files
  family                   = "${var.name}-metadata"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  execution_role_arn       = aws_iam_role.start.arn
  container_definitions = jsonencode([
    {
      name             = "migrate"
      image            = var.image
      essential        = false
      command          = ["/opt/latest/bin/python3", "/root/run_goose.py"]
      environment      = local.environment
      secrets          = local.secrets
      logConfiguration = local.logs
    },
    {
      name             = "service"
      image            = var.image
      essential        = true
      command          = ["/opt/latest/bin/python3", "-m", "services.metadata_service.server"]
      dependsOn        = [{ containerName = "migrate", condition = "SUCCESS" }]
      environment      = concat(local.environment, [{ name = "MF_METADATA_HOST", value = "0.0.0.0" }, { name = "MF_METADATA_PORT", value = tostring(local.port) }])
      secrets          = local.secrets
      portMappings     = [{ containerPort = local.port, protocol = "tcp" }]
      logConfiguration = local.logs
    },
  ])
}

resource "aws_lb" "this" {
  #checkov:skip=CKV2_AWS_20:a network load balancer has no HTTP to redirect
  #checkov:skip=CKV_AWS_150:deletion_protection is a variable, by default true
  #checkov:skip=CKV_AWS_91:a network load balancer logs only TLS listeners, which this has not
  name                             = "${substr(var.name, 0, 23)}-metadata"
  load_balancer_type               = "network"
  internal                         = true
  subnets                          = var.subnet_ids
  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = var.deletion_protection
}

resource "aws_lb_target_group" "this" {
  name        = "${substr(var.name, 0, 23)}-metadata"
  port        = local.port
  protocol    = "TCP"
  target_type = "ip"
  vpc_id      = var.vpc_id
  health_check {
    protocol = "HTTP"
    path     = "/ping"
  }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

resource "aws_ecs_service" "this" {
  name            = "${var.name}-metadata"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this.arn
  launch_type     = "FARGATE"
  desired_count   = var.multi_az ? 2 : 1
  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this["service"].id]
    assign_public_ip = false
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.this.arn
    container_name   = "service"
    container_port   = local.port
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  depends_on = [aws_lb_listener.this, aws_iam_role_policy.start]
}
