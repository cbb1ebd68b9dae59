# The roles of state machines, of what starts them, and of whoever deploys them; and what becomes visible when they fail.

locals {
  machines    = "${local.arn}:states:${local.region}:${local.account}:stateMachine:${var.flow_prefix}*"
  executions  = "${local.arn}:states:${local.region}:${local.account}:execution:${var.flow_prefix}*:*"
  definitions = "${local.arn}:batch:${local.region}:${local.account}:job-definition/*"
  queues      = [for queue in aws_batch_job_queue.this : queue.arn]
}

data "aws_iam_policy_document" "states" {
  #checkov:skip=CKV_AWS_356:AWS has no narrower resource for DescribeJobs, for the delivery of logs and for X-Ray
  #checkov:skip=CKV_AWS_111:TerminateJob works on the jobs that the machine itself started, whose ids are not known; log delivery has no resources
  statement {
    sid       = "Submit"
    actions   = ["batch:SubmitJob", "batch:TagResource"]
    resources = concat(local.queues, [local.definitions, "${local.arn}:batch:${local.region}:${local.account}:job/*"])
  }
  statement {
    sid       = "Stop"
    actions   = ["batch:TerminateJob"]
    resources = ["${local.arn}:batch:${local.region}:${local.account}:job/*"]
  }
  statement {
    sid       = "Wait"
    actions   = ["batch:DescribeJobs"]
    resources = ["*"]
  }
  # Step Functions hears of the end of a job by this rule, which it makes itself
  statement {
    sid       = "Hear"
    actions   = ["events:PutTargets", "events:PutRule", "events:DescribeRule"]
    resources = ["${local.arn}:events:${local.region}:${local.account}:rule/StepFunctionsGetEventsForBatchJobsRule"]
  }
  statement {
    sid       = "Results"
    actions   = ["s3:GetObject"]
    resources = ["${var.datastore.bucket_arn}/${local.results}/*"]
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt"]
    resources = [var.datastore.kms_key_arn]
  }
  # wide foreach loops run as child executions
  statement {
    sid       = "Children"
    actions   = ["states:StartExecution"]
    resources = [local.machines]
  }
  statement {
    sid       = "ChildrenOf"
    actions   = ["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"]
    resources = [local.executions]
  }
  # @trigger_on_finish of other flows
  statement {
    sid       = "Tell"
    actions   = ["events:PutEvents"]
    resources = [local.bus]
  }
  statement {
    sid = "Logs"
    actions = [
      "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries",
      "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "Traces"
    actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"]
    resources = ["*"]
  }
  dynamic "statement" {
    for_each = var.table ? [1] : []
    content {
      sid       = "Table"
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
      resources = aws_dynamodb_table.this[*].arn
    }
  }
}

resource "aws_iam_role" "states" {
  name               = "${var.name}-states"
  assume_role_policy = data.aws_iam_policy_document.assume["states"].json
}

resource "aws_iam_role_policy" "states" {
  name   = "run"
  role   = aws_iam_role.states.id
  policy = data.aws_iam_policy_document.states.json
}

# --- what starts them: schedules and events --------------------------------------------------------------------------------

data "aws_iam_policy_document" "start" {
  statement {
    actions   = ["states:StartExecution"]
    resources = [local.machines]
  }
}

resource "aws_iam_role" "start" {
  for_each           = toset(["events", "scheduler"])
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume[each.key].json
}

resource "aws_iam_role_policy" "start" {
  for_each = aws_iam_role.start
  name     = "start"
  role     = each.value.id
  policy   = data.aws_iam_policy_document.start.json
}

resource "aws_cloudwatch_event_bus" "this" {
  count              = var.event_bus ? 1 : 0
  name               = var.name
  kms_key_identifier = var.kms_key_arn
}

locals {
  bus      = var.event_bus ? aws_cloudwatch_event_bus.this[0].arn : "${local.arn}:events:${local.region}:${local.account}:event-bus/default"
  bus_name = var.event_bus ? aws_cloudwatch_event_bus.this[0].name : "default"
}

# --- whoever deploys them --------------------------------------------------------------------------------------------------

# a flow's stack makes the roles of its state machine and schedule; none of them can do more than this, whatever a template says
data "aws_iam_policy_document" "boundary" {
  #checkov:skip=CKV_AWS_356:a boundary allows nothing by itself; AWS has no narrower resource for these actions
  #checkov:skip=CKV_AWS_111:a boundary allows nothing by itself
  #checkov:skip=CKV_AWS_107:a boundary allows nothing by itself; ecr:GetAuthorizationToken lets Fargate pull the image
  statement {
    sid       = "Artifacts"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
    resources = [var.datastore.bucket_arn, "${var.datastore.bucket_arn}/*"]
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = distinct([var.datastore.kms_key_arn, var.kms_key_arn])
  }
  statement {
    sid = "Runs"
    actions = [
      "batch:SubmitJob", "batch:DescribeJobs", "batch:TerminateJob", "batch:TagResource", "events:DescribeRule", "events:PutEvents",
      "events:PutRule", "events:PutTargets", "states:StartExecution", "states:DescribeExecution", "states:StopExecution",
      "states:RedriveExecution", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
    ]
    resources = ["*"]
  }
  statement {
    sid = "Logs"
    actions = [
      "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries",
      "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups", "logs:CreateLogStream", "logs:PutLogEvents",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "Images"
    actions   = ["ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
    resources = ["*"]
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

resource "aws_iam_policy" "boundary" {
  name        = "${var.name}-flows-boundary"
  description = "The most that roles of flows' stacks can do"
  policy      = data.aws_iam_policy_document.boundary.json
}

locals {
  stacks      = "${local.arn}:cloudformation:${local.region}:${local.account}:stack/${var.stack_prefix}*/*"
  stack_roles = "${local.arn}:iam::${local.account}:role/${var.stack_prefix}*"
  # without names of their own, CloudFormation calls things after the stack; `--format asl` calls them after the flow
  prefixes = distinct([var.stack_prefix, var.flow_prefix])
}

data "aws_iam_policy_document" "deploy" {
  #checkov:skip=CKV_AWS_356:Describe, List and Validate have no narrower resource
  statement {
    sid = "Look"
    actions = [
      "batch:DescribeJobDefinitions", "batch:DescribeJobQueues", "cloudformation:GetTemplateSummary", "cloudformation:ListStacks",
      "cloudformation:ValidateTemplate", "logs:DescribeLogGroups", "states:ListStateMachines", "states:ValidateStateMachineDefinition",
    ]
    resources = ["*"]
  }
  statement {
    sid       = "Jobs"
    actions   = ["batch:RegisterJobDefinition", "batch:DeregisterJobDefinition", "batch:TagResource", "batch:UntagResource"]
    resources = [local.definitions]
  }
  statement {
    sid = "Machines"
    actions = [
      "states:CreateStateMachine", "states:UpdateStateMachine", "states:DeleteStateMachine", "states:DescribeStateMachine",
      "states:ListStateMachineVersions", "states:PublishStateMachineVersion", "states:TagResource", "states:UntagResource",
      "states:ListTagsForResource", "states:StartExecution",
    ]
    resources = [local.machines]
  }
  statement {
    sid       = "Schedules"
    actions   = ["scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule", "scheduler:GetSchedule"]
    resources = [for prefix in local.prefixes : "${local.arn}:scheduler:${local.region}:${local.account}:schedule/*/${prefix}*"]
  }
  statement {
    sid = "Rules"
    actions = [
      "events:PutRule", "events:DeleteRule", "events:DescribeRule", "events:PutTargets", "events:RemoveTargets",
      "events:ListTargetsByRule", "events:TagResource", "events:UntagResource",
    ]
    resources = flatten([for prefix in local.prefixes : [
      "${local.arn}:events:${local.region}:${local.account}:rule/${prefix}*",
      "${local.arn}:events:${local.region}:${local.account}:rule/${local.bus_name}/${prefix}*",
    ]])
  }
  statement {
    sid = "Stacks"
    actions = [
      "cloudformation:CreateStack", "cloudformation:UpdateStack", "cloudformation:DeleteStack", "cloudformation:CreateChangeSet",
      "cloudformation:ExecuteChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:DescribeChangeSet", "cloudformation:DescribeStacks",
      "cloudformation:DescribeStackEvents", "cloudformation:DescribeStackResources", "cloudformation:GetTemplate",
    ]
    resources = [local.stacks]
  }
  statement {
    sid       = "StackLogs"
    actions   = ["logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:TagResource", "logs:ListTagsForResource"]
    resources = ["${local.arn}:logs:${local.region}:${local.account}:log-group:/aws/vendedlogs/flowc/*"]
  }
  # a role is made and filled under the boundary, or not at all
  statement {
    sid       = "StackRoles"
    actions   = ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary"]
    resources = [local.stack_roles]
    condition {
      test     = "StringEquals"
      variable = "iam:PermissionsBoundary"
      values   = [aws_iam_policy.boundary.arn]
    }
  }
  statement {
    sid       = "StackRolesEnd"
    actions   = ["iam:GetRole", "iam:GetRolePolicy", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies", "iam:UpdateAssumeRolePolicy", "iam:DeleteRole", "iam:TagRole"]
    resources = [local.stack_roles]
  }
  dynamic "statement" {
    # each role to its own service
    for_each = {
      Jobs      = { service = "ecs-tasks", arns = [aws_iam_role.job.arn, aws_iam_role.execution.arn] }
      States    = { service = "states", arns = [aws_iam_role.states.arn] }
      Events    = { service = "events", arns = [aws_iam_role.start["events"].arn] }
      Scheduler = { service = "scheduler", arns = [aws_iam_role.start["scheduler"].arn] }
    }
    content {
      sid       = "Pass${statement.key}"
      actions   = ["iam:PassRole"]
      resources = concat(statement.value.arns, [local.stack_roles])
      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["${statement.value.service}.amazonaws.com"]
      }
    }
  }
}

# --- what becomes visible --------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "executions" {
  name              = "/aws/vendedlogs/states/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_cloudwatch_log_group" "failures" {
  count             = var.failure_events ? 1 : 0
  name              = "/aws/events/${var.name}-failures"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

data "aws_iam_policy_document" "failures" {
  count = var.failure_events ? 1 : 0
  statement {
    actions   = ["logs:CreateLogStream"]
    resources = ["${aws_cloudwatch_log_group.failures[0].arn}:*"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }
  }
  statement {
    actions   = ["logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.failures[0].arn}:*:*"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [for rule in aws_cloudwatch_event_rule.failures : rule.arn]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "failures" {
  count           = var.failure_events ? 1 : 0
  policy_name     = "${var.name}-failures"
  policy_document = data.aws_iam_policy_document.failures[0].json
}

locals {
  failing = {
    jobs       = { source = ["aws.batch"], "detail-type" = ["Batch Job State Change"], detail = { status = ["FAILED"], jobQueue = local.queues } }
    executions = { source = ["aws.states"], "detail-type" = ["Step Functions Execution Status Change"], detail = { status = ["FAILED", "TIMED_OUT"], stateMachineArn = [{ prefix = trimsuffix(local.machines, "*") }] } }
  }
  heard = { for what, pattern in local.failing : what => pattern if var.failure_events || var.alarm_topic != null }
}

resource "aws_cloudwatch_event_rule" "failures" {
  for_each      = local.heard
  name          = "${var.name}-failed-${each.key}"
  event_pattern = jsonencode(each.value)
}

resource "aws_cloudwatch_event_target" "failures" {
  for_each = var.failure_events ? aws_cloudwatch_event_rule.failures : {}
  rule     = each.value.name
  arn      = aws_cloudwatch_log_group.failures[0].arn
}

resource "aws_cloudwatch_event_target" "alarm" {
  for_each = var.alarm_topic == null ? {} : aws_cloudwatch_event_rule.failures
  rule     = each.value.name
  arn      = var.alarm_topic.arn
}
