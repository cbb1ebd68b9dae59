variable "name" {
  description = "Prefix of the roles' names."
  type        = string
}

variable "mechanism" {
  description = "How pods get their roles: `irsa` (the service account's annotation), `pod-identity` (associations, EKS only), or `none` (no pods)."
  type        = string
  default     = "irsa"
  validation {
    condition     = contains(["irsa", "pod-identity", "none"], var.mechanism)
    error_message = "mechanism is irsa, pod-identity or none."
  }
}

variable "cluster_name" {
  description = "The EKS cluster; needed for pod-identity."
  type        = string
  default     = null
  validation {
    condition     = var.mechanism != "pod-identity" || var.cluster_name != null
    error_message = "mechanism pod-identity needs cluster_name."
  }
}

variable "oidc" {
  description = "The cluster's OIDC provider and its issuer without https://; needed for irsa."
  type        = object({ provider_arn = string, issuer = string })
  default     = null
  validation {
    condition     = var.mechanism != "irsa" || var.oidc != null
    error_message = "mechanism irsa needs oidc."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of the flows and of Argo."
  type        = string
  default     = "metaflow"
}

variable "task_service_account" {
  description = "Service account of the flows' pods."
  type        = string
  default     = "metaflow-tasks"
}

variable "controller_service_accounts" {
  description = "Service accounts of Argo, which read archived logs."
  type        = set(string)
  default     = ["argo", "argo-server"]
}

variable "datastore" {
  description = "The bucket that pods read and write: its ARN, Metaflow's folder in it, and its key. Needed where there are pods."
  type        = object({ bucket_arn = string, prefix = string, kms_key_arn = string })
  default     = null
  validation {
    condition     = var.mechanism == "none" || var.datastore != null
    error_message = "datastore is needed where pods get roles."
  }
}

variable "logs_prefix" {
  description = "Folder of the bucket in which Argo archives logs; pods write there, Argo reads."
  type        = string
  default     = "argo"
}

variable "secret_arns" {
  description = "Secrets of Secrets Manager that flows may read by @secrets; ARNs, the last part may end in *."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for a in var.secret_arns : can(regex("^arn:[^:]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*]+\\*?$", a))])
    error_message = "secret_arns are ARNs such as arn:aws:secretsmanager:eu-west-1:111122223333:secret:flows/*."
  }
}

variable "task_policy_arns" {
  description = "Further IAM policies of the flows' pods, for the data that they read."
  type        = set(string)
  default     = []
}

variable "ci" {
  # repository: OWNER/NAME; subjects: what of it may take the role, such as ref:refs/heads/main or environment:production;
  # provider_arn: GitHub's OIDC provider where the account has it already, else it is made; cluster_arn: the EKS cluster that it
  # may look up; repository_arns: ECR repositories that it may push to; policy_json: anything else
  description = "The role with which GitHub Actions deploys; null: none."
  type = object({
    repository      = string
    subjects        = optional(list(string), ["ref:refs/heads/main"])
    provider_arn    = optional(string)
    cluster_arn     = optional(string)
    repository_arns = optional(list(string), [])
    policy_json     = optional(string)
  })
  default = null
  validation {
    condition     = var.ci == null ? true : can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.ci.repository))
    error_message = "ci.repository is OWNER/NAME."
  }
  validation {
    condition     = var.ci == null ? true : length(var.ci.subjects) > 0 && alltrue([for s in var.ci.subjects : !startswith(s, "*") && s != "pull_request"])
    error_message = "ci.subjects names branches, tags or environments; not everything, and not pull requests, which anybody can open."
  }
}
