variable "name" {
  description = "Name of the cluster and prefix of its parts."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", var.name))
    error_message = "name is 3 to 32 lower case letters, digits and hyphens, and begins with a letter."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes of the control plane and the nodes. flowc's kubernetes target needs 1.33."
  type        = string
  default     = "1.33"
  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version is one such as 1.33."
  }
}

variable "vpc_id" {
  description = "The VPC of the cluster."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of nodes and pods, in two zones or more."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "EKS needs subnets in two zones."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the cluster's Secrets and its logs."
  type        = string
}

variable "public_access_cidrs" {
  description = "Addresses that reach the API server from the internet. None: it answers inside the VPC alone."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for c in var.public_access_cidrs : can(cidrhost(c, 0)) && try(tonumber(split("/", c)[1]) >= 8, false)])
    error_message = "public_access_cidrs are ranges such as 203.0.113.7/32; nothing wider than /8."
  }
}

variable "admin_role_arns" {
  description = "IAM roles (or users) that administer the cluster, by EKS access entries. Whoever creates the cluster always does."
  type        = set(string)
  default     = []
}

variable "deployers" {
  description = "IAM roles that may write into a namespace, such as CI's, by any name of your choosing."
  type        = map(object({ role_arn = string, namespaces = list(string) }))
  default     = {}
}

variable "log_types" {
  description = "What the control plane logs."
  type        = set(string)
  default     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
}

variable "log_retention_days" {
  description = "Days that the control plane's logs are kept."
  type        = number
  default     = 365
}

variable "addons" {
  description = "Whether EKS installs its add-ons: network plugin, DNS, kube-proxy, pod identity agent, metrics server, and what the switches below ask for."
  type        = bool
  default     = true
}

variable "access_entries" {
  description = "Whether roles get into the cluster by EKS access entries. False only where the API lacks them, as in an emulator."
  type        = bool
  default     = true
}

variable "network_policy" {
  description = "Whether the network plugin enforces NetworkPolicy objects (an option of the vpc-cni add-on)."
  type        = bool
  default     = true
}

variable "observability" {
  description = "Whether metrics and logs of pods go to CloudWatch (add-on amazon-cloudwatch-observability, which costs by volume)."
  type        = bool
  default     = false
}

variable "ebs_volumes" {
  description = "Whether pods can have EBS volumes (add-on aws-ebs-csi-driver)."
  type        = bool
  default     = true
}

variable "nodes" {
  description = "What makes nodes for flows: `managed` node groups, or `karpenter` (its AWS parts are made here, its chart is installed by you)."
  type        = string
  default     = "managed"
  validation {
    condition     = contains(["managed", "karpenter"], var.nodes)
    error_message = "nodes is managed or karpenter."
  }
}

variable "cluster_autoscaler" {
  description = "Whether to make the role with which the cluster autoscaler scales managed node groups."
  type        = bool
  default     = true
}

variable "system_instance_types" {
  description = "Instances that carry Argo, DNS and the like."
  type        = list(string)
  default     = ["m6i.large"]
}

variable "node_groups" {
  description = "Managed node groups for flows, by name; left out where Karpenter makes the nodes. Taints are KEY=VALUE:NO_SCHEDULE."
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
  default = {
    flows = { instance_types = ["m6i.2xlarge", "m6a.2xlarge", "m5.2xlarge"] }
  }
  nullable = false
  validation {
    condition     = alltrue([for g in var.node_groups : contains(["ON_DEMAND", "SPOT"], g.capacity_type) && g.min_size >= 0 && g.max_size >= max(1, g.min_size)])
    error_message = "capacity_type is ON_DEMAND or SPOT, and max_size at least 1 and at least min_size."
  }
  validation {
    condition     = alltrue(flatten([for g in var.node_groups : [for t in g.taints : can(regex("^[^=:]+=[^=:]*:(NO_SCHEDULE|NO_EXECUTE|PREFER_NO_SCHEDULE)$", t))]]))
    error_message = "taints are written KEY=VALUE:NO_SCHEDULE, :NO_EXECUTE or :PREFER_NO_SCHEDULE."
  }
}
