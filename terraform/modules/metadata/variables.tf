variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the service and its database."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in two zones or more."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "RDS needs subnets in two zones."
  }
}

variable "client_cidr" {
  description = "Addresses that may call the service: the VPC's range."
  type        = string
  validation {
    condition     = can(cidrhost(var.client_cidr, 0)) && !endswith(var.client_cidr, "/0")
    error_message = "client_cidr is an IPv4 range; the service has no login, so it is never open to all."
  }
}

variable "kms_key_arn" {
  description = "KMS key of the database, its password and the logs."
  type        = string
}

variable "image" {
  description = "Image of Metaflow's metadata service, with a tag."
  type        = string
  default     = "netflixoss/metaflow_metadata_service:v2.5.0"
  validation {
    condition     = can(regex(":[^:/]+$", var.image)) && !endswith(var.image, ":latest")
    error_message = "image has a tag, and it is not latest."
  }
}

variable "postgres_version" {
  description = "Major version of PostgreSQL."
  type        = string
  default     = "16"
}

variable "instance_class" {
  description = "Size of the database."
  type        = string
  default     = "db.t4g.small"
}

variable "storage_gb" {
  description = "Storage of the database at first; it grows to ten times that."
  type        = number
  default     = 20
}

variable "multi_az" {
  description = "Whether a second database stands by in another zone, and a second copy of the service."
  type        = bool
  default     = true
}

variable "backup_days" {
  description = "Days that backups of the database are kept."
  type        = number
  default     = 14
  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days is 1 to 35, as RDS asks."
  }
}

variable "deletion_protection" {
  description = "Whether `terraform destroy` is kept from deleting the database and the load balancer."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days that the service's logs are kept."
  type        = number
  default     = 365
}
