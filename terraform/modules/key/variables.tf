variable "name" {
  description = "The key's alias and description."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_/-]{1,200}$", var.name)) && !startswith(var.name, "aws/")
    error_message = "name has letters, digits, _, / and - only, and does not begin with aws/."
  }
}
