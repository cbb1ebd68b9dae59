# The roles of state machines, of what starts them, and of whoever deploys them; and what becomes visible when they fail.

locals {
  # CloudFormation and flowc name what they make after the flow
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

data "aws_iam_policy_document" "deploy" {
  #checkov:skip=CKV_AWS_356:ValidateStateMachineDefinition, Describe and List have no narrower resource, and Batch names a definition only once it is there
  #checkov:skip=CKV_AWS_111:RegisterJobDefinition has no resource before the definition is there
  statement {
    sid = "Look"
    actions = [
      "batch:DescribeJobDefinitions", "batch:DescribeJobQueues", "cloudformation:ListStacks", "cloudformation:ValidateTemplate",
      "states:ListStateMachines", "states:ValidateStateMachineDefinition",
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
    resources = ["${local.arn}:scheduler:${local.region}:${local.account}:schedule/*/${var.flow_prefix}*"]
  }
  statement {
    sid = "Rules"
    actions = [
      "events:PutRule", "events:DeleteRule", "events:DescribeRule", "events:PutTargets", "events:RemoveTargets",
      "events:ListTargetsByRule", "events:TagResource", "events:UntagResource",
    ]
    resources = [
      "${local.arn}:events:${local.region}:${local.account}:rule/${var.flow_prefix}*",
      "${local.arn}:events:${local.region}:${local.account}:rule/${local.bus_name}/${var.flow_prefix}*",
    ]
  }
  statement {
    sid = "Stacks"
    actions = [
      "cloudformation:CreateStack", "cloudformation:UpdateStack", "cloudformation:DeleteStack", "cloudformation:CreateChangeSet",
      "cloudformation:ExecuteChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:DescribeChangeSet", "cloudformation:DescribeStacks",
      "cloudformation:DescribeStackEvents", "cloudformation:GetTemplate", "cloudformation:GetTemplateSummary",
    ]
    resources = ["${local.arn}:cloudformation:${local.region}:${local.account}:stack/${var.flow_prefix}*/*"]
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
      resources = statement.value.arns
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
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.failures[0].arn}:*"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
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
