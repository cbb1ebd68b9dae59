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

variable "namespace" {
  description = "Namespace of flows and of Argo; deploy/ has this one."
  type        = string
  default     = "metaflow"
}

variable "kubernetes_version" {
  description = "Kubernetes of the cluster; flowc's kubernetes target needs 1.33."
  type        = string
  default     = "1.33"
}

variable "api_cidrs" {
  description = "Your addresses, from which the API server can be reached. None: only from inside the VPC."
  type        = list(string)
  default     = []
}

variable "admin_role_arns" {
  description = "IAM roles that administer the cluster, besides whoever runs Terraform."
  type        = set(string)
  default     = []
}

variable "nodes" {
  description = "What makes nodes for flows: managed groups, or karpenter."
  type        = string
  default     = "managed"
}

variable "node_groups" {
  description = "Managed node groups of flows, by name; see modules/eks. Null: one of general-purpose instances, from 0 to 10."
  type = map(object({
    instance_types = list(string)
    capacity_type  = optional(string, "ON_DEMAND")
    min_size       = optional(number, 0)
    max_size       = optional(number, 10)
    disk_gb        = optional(number, 100)
    ami_type       = optional(string, "AL2023_x86_64_STANDARD")
    labels         = optional(map(string), {})
    taints         = optional(list(string), [])
  }))
  default = null
}

variable "pod_roles" {
  description = "How pods get their roles: irsa or pod-identity."
  type        = string
  default     = "irsa"
}

variable "network_policy" {
  description = "Whether NetworkPolicy objects are enforced."
  type        = bool
  default     = true
}

variable "observability" {
  description = "Whether metrics and logs of pods go to CloudWatch."
  type        = bool
  default     = false
}

variable "repository" {
  description = "Whether to make an ECR repository for the flows' images."
  type        = bool
  default     = true
}

variable "eks_extras" {
  description = "Add-ons, access entries and pod identity. False only where the API lacks them, as in an emulator: the cluster would have no network."
  type        = bool
  default     = true
}
