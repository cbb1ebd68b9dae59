variable "name" {
  description = "Prefix of the repository's name."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the images."
  type        = string
}

variable "image_count" {
  description = "Images that are kept; the oldest beyond them are deleted, so keep more than the releases that you may return to."
  type        = number
  default     = 100
  validation {
    condition     = var.image_count >= 1
    error_message = "image_count is at least 1."
  }
}
