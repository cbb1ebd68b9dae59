variable "bucket" {
  description = "Name of the bucket, unique in all of AWS."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is 3 to 63 lower case letters, digits, dots and hyphens."
  }
}

variable "prefix" {
  description = "Folder of the bucket in which Metaflow keeps its artifacts."
  type        = string
  default     = "metaflow"
  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", var.prefix))
    error_message = "prefix is a path without slashes at its ends."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the objects."
  type        = string
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may delete a bucket that still holds artifacts."
  type        = bool
  default     = false
}

variable "noncurrent_days" {
  description = "Days that overwritten and deleted artifacts can still be brought back."
  type        = number
  default     = 30
  validation {
    condition     = var.noncurrent_days >= 1
    error_message = "noncurrent_days is at least 1."
  }
}

variable "infrequent_access_days" {
  description = "Days after which artifacts move to a cheaper storage class; at least 30. Null: never."
  type        = number
  default     = null
  validation {
    condition     = var.infrequent_access_days == null ? true : var.infrequent_access_days >= 30
    error_message = "infrequent_access_days is at least 30, as S3 asks."
  }
}

variable "expiration_days" {
  description = "Days after which artifacts are deleted. Null: never. Runs older than this cannot be resumed or read."
  type        = number
  default     = null
  validation {
    condition     = var.expiration_days == null ? true : var.expiration_days >= 1
    error_message = "expiration_days is at least 1."
  }
}

variable "access_logs" {
  description = "Whether a second bucket keeps who read and wrote what."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "Days that access logs are kept."
  type        = number
  default     = 365
}

variable "vpc_endpoint_id" {
  description = "Where set, objects are read and written through this VPC endpoint alone, or by the principals of `trusted_arns`."
  type        = string
  default     = null
}

variable "trusted_arns" {
  description = "IAM principals that may come from elsewhere where vpc_endpoint_id is set, such as people's roles and the role that runs Terraform."
  type        = list(string)
  default     = []
}
