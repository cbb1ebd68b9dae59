variable "name" {
  description = "Prefix of every name."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name is 3 to 32 lower case letters, digits and hyphens, and begins with a letter."
  }
}

variable "flow_prefix" {
  description = "What the names of state machines begin with that may be deployed and started; empty: any name in the account."
  type        = string
  default     = ""
}

variable "stack_prefix" {
  description = "What the names of CloudFormation stacks begin with that CI may deploy; the roles that they make begin so too."
  type        = string
  default     = "flows-"
  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{2,40}$", var.stack_prefix))
    error_message = "stack_prefix is 3 to 41 letters, digits and hyphens: CI may make and pass every role that begins so."
  }
}

variable "vpc_id" {
  description = "The VPC of the jobs."
  type        = string
}

variable "vpc_cidr" {
  description = "Its address range: jobs of one @parallel step talk to one another inside it."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the jobs."
  type        = list(string)
}

variable "datastore" {
  description = "The bucket of artifacts: its ARN, Metaflow's folder in it, and its key."
  type        = object({ bucket_arn = string, prefix = string, kms_key_arn = string })
}

variable "kms_key_arn" {
  description = "KMS key of logs, images, alarms and the table."
  type        = string
}

variable "compute_environments" {
  # type: EC2, SPOT, FARGATE or FARGATE_SPOT; instance_types for the first two (families too, or `optimal`). @parallel steps need
  # EC2 or SPOT, as AWS Batch has it
  description = "Where jobs run, by name; a queue of the same name leads there."
  type = map(object({
    type           = string
    instance_types = optional(list(string), ["optimal"])
    min_vcpus      = optional(number, 0)
    max_vcpus      = optional(number, 256)
    disk_gb        = optional(number, 100)
    priority       = optional(number, 1)
  }))
  nullable = false
  default = {
    flows = { type = "EC2" }
    spot  = { type = "SPOT", priority = 1 }
  }
  validation {
    condition     = length(var.compute_environments) > 0 && alltrue([for c in var.compute_environments : contains(["EC2", "SPOT", "FARGATE", "FARGATE_SPOT"], c.type)])
    error_message = "There is at least one compute environment; type is EC2, SPOT, FARGATE or FARGATE_SPOT."
  }
  validation {
    condition     = alltrue([for c in var.compute_environments : c.max_vcpus >= 1 && c.min_vcpus >= 0 && c.min_vcpus <= c.max_vcpus])
    error_message = "0 <= min_vcpus <= max_vcpus, and max_vcpus at least 1."
  }
}

variable "default_queue" {
  description = "The compute environment whose queue flows use that name none."
  type        = string
  default     = "flows"
  validation {
    condition     = contains(keys(var.compute_environments), var.default_queue)
    error_message = "default_queue is one of compute_environments."
  }
}

variable "secret_arns" {
  description = "Secrets of Secrets Manager that jobs may read; ARNs, the last part may end in *."
  type        = list(string)
  default     = []
}

variable "job_policy_arns" {
  description = "Further IAM policies of the jobs, for the data that they read."
  type        = set(string)
  default     = []
}

variable "results_prefix" {
  description = "Folder of the bucket in which steps leave how many tasks they split into, for the state machine to read. Below Metaflow's own by default."
  type        = string
  default     = null
}

variable "table" {
  description = "Whether to make the DynamoDB table that Metaflow's own Step Functions compiler needs. flowc's state machines need none."
  type        = bool
  default     = false
}

variable "event_bus" {
  description = "Whether to make an event bus for @trigger. Without it the account's default bus is used."
  type        = bool
  default     = false
}

variable "failure_events" {
  description = "Whether failed jobs and executions are written to a log group."
  type        = bool
  default     = true
}

variable "alarm_topic" {
  description = "SNS topic that is told when a job or an execution fails (its policy must let events.amazonaws.com publish); null: none."
  type        = object({ arn = string })
  default     = null
}

variable "log_retention_days" {
  description = "Days that logs of jobs and of executions are kept."
  type        = number
  default     = 365
}
