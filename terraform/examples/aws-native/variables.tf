variable "name" {
  description = "Prefix of every name. It is part of the bucket's, with the account's number."
  type        = string
  default     = "metaflow"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,21}[a-z0-9]$", var.name))
    error_message = "name is 3 to 23 lower case letters, digits and hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is one such as eu-west-1."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

variable "cidr" {
  description = "Address range of the VPC, /16 to /20."
  type        = string
  default     = "10.64.0.0/16"
}

variable "zones" {
  description = "Availability zones, 2 to 4."
  type        = number
  default     = 2
}

variable "nat" {
  description = "NAT gateways: none, single or per-zone. With none, pods reach AWS by endpoints and nothing else."
  type        = string
  default     = "single"
}

variable "private_endpoints" {
  description = "Whether AWS is reached inside the VPC (an hourly cost for each service); needed with nat = none."
  type        = bool
  default     = false
  validation {
    condition     = var.nat != "none" || var.private_endpoints
    error_message = "nat = none needs private_endpoints = true."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
  default     = 365
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes artifacts, database and load balancer too. For a trial."
  type        = bool
  default     = false
}

variable "metadata_service" {
  description = "Whether to run Metaflow's metadata service, which its UI and the Client API across machines need."
  type        = bool
  default     = false
}

variable "secret_arns" {
  description = "Secrets of Secrets Manager that flows read by @secrets."
  type        = list(string)
  default     = []
}

variable "github" {
  description = "GitHub repository (OWNER/NAME) whose workflows deploy, and from where, such as ref:refs/heads/main; null: none."
  type = object({
    repository   = string
    subjects     = optional(list(string), ["ref:refs/heads/main"])
    provider_arn = optional(string)
  })
  default = null
}

variable "compute_environments" {
  description = "Where jobs run, by name, each with a queue; see modules/aws-native. Null: `flows` on demand and `spot`."
  type = map(object({
    type           = string
    instance_types = optional(list(string), ["optimal"])
    min_vcpus      = optional(number, 0)
    max_vcpus      = optional(number, 256)
    disk_gb        = optional(number, 100)
    priority       = optional(number, 1)
  }))
  default = null
}

variable "default_queue" {
  description = "The compute environment of flows that name no queue."
  type        = string
  default     = "flows"
}

variable "flow_prefix" {
  description = "What the names of state machines begin with that CI may deploy and schedules may start; empty: any."
  type        = string
  default     = ""
}

variable "stack_prefix" {
  description = "What the names of flows' CloudFormation stacks begin with that CI may deploy."
  type        = string
  default     = "flows-"
}

variable "repository" {
  description = "Whether to make an ECR repository for the flows' images."
  type        = bool
  default     = true
}

variable "event_bus" {
  description = "Whether to make an event bus of its own for @trigger."
  type        = bool
  default     = false
}

variable "table" {
  description = "Whether to make the DynamoDB table of Metaflow's own Step Functions compiler; flowc needs none."
  type        = bool
  default     = false
}

variable "alarm_topic_arn" {
  description = "SNS topic that is told of failed jobs and executions; null: none."
  type        = string
  default     = null
}
