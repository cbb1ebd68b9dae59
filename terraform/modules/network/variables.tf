variable "name" {
  description = "Prefix of every name."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name is 3 to 32 lower case letters, digits and hyphens, and begins with a letter."
  }
}

variable "cidr" {
  description = "Address range of the VPC, /16 to /20: it is cut into eight blocks, four private and four public."
  type        = string
  default     = "10.64.0.0/16"
  validation {
    condition     = can(cidrhost(var.cidr, 0)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20, false)
    error_message = "cidr is an IPv4 range between /16 and /20."
  }
}

variable "zones" {
  description = "Number of availability zones, 2 to 4. EKS needs two."
  type        = number
  default     = 2
  validation {
    condition     = contains([2, 3, 4], var.zones)
    error_message = "zones is 2, 3 or 4."
  }
}

variable "nat" {
  description = "How private subnets reach the internet: `single` NAT gateway, one `per-zone`, or `none` (then everything comes by VPC endpoints)."
  type        = string
  default     = "single"
  validation {
    condition     = contains(["none", "single", "per-zone"], var.nat)
    error_message = "nat is none, single or per-zone."
  }
}

variable "interface_endpoints" {
  description = "AWS services that are reached inside the VPC, by their short names. S3 and DynamoDB always are, by free gateway endpoints."
  type        = set(string)
  default     = []
  validation {
    condition     = alltrue([for s in var.interface_endpoints : can(regex("^[a-z0-9.-]+$", s)) && !contains(["s3", "dynamodb"], s)])
    error_message = "interface_endpoints are short names such as ecr.api, ecr.dkr, sts, logs, batch, states."
  }
}

variable "flow_logs" {
  description = "Whether the VPC's traffic is logged."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days that flow logs are kept."
  type        = number
  default     = 365
  validation {
    condition     = contains([7, 14, 30, 60, 90, 180, 365, 400, 731], var.log_retention_days)
    error_message = "log_retention_days is one that CloudWatch knows: 7, 14, 30, 60, 90, 180, 365, 400 or 731."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the flow logs; its policy must let the region's CloudWatch Logs use it. Null: the key of CloudWatch itself."
  type        = string
  default     = null
}

variable "private_subnet_tags" {
  description = "Further tags of the private subnets, such as karpenter.sh/discovery."
  type        = map(string)
  default     = {}
}
