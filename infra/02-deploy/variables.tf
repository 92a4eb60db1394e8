variable "alarm_topic_arn" {
  description = "ARN of the SNS topic that alarms go to; null: no alarms."
  type        = string
  default     = null

  validation {
    condition = (
      var.alarm_topic_arn == null ||
      can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.alarm_topic_arn))
    )
    error_message = "alarm_topic_arn must be the ARN of a standard SNS topic, or null."
  }
}

variable "aws_region" {
  description = "Region to deploy to: that of the image repository."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", var.aws_region))
    error_message = "aws_region must be the code of a region, such as eu-west-1."
  }
}

variable "code_bucket_arns" {
  description = "ARNs of the buckets that jobs may name in s3_location, beside the internal one."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.code_bucket_arns :
      can(regex("^arn:[a-z-]+:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", arn))
    ])
    error_message = "code_bucket_arns must hold ARNs of buckets, without a path or a wildcard."
  }
}

variable "ecr_repo" {
  description = "URL of the image repository, without a tag: output ecr_repo_url of 01-ecr."
  type        = string
  nullable    = false

  validation {
    condition = (
      can(regex("^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$", var.ecr_repo))
    )
    error_message = "ecr_repo must be <registry host>/<repository>, without a scheme and a tag."
  }
}

variable "image_tag" {
  description = "Tag of the image that all functions and the builds run."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag))
    error_message = "image_tag must be 1 to 128 of A-Z a-z 0-9 _ . -, with no . or - first."
  }
}

variable "log_retention_days" {
  description = "How long logs are kept, in days."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition = contains([
      1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
      3288, 3653,
    ], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch Logs offers, such as 14 or 30."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds what the roles may do; null: none."
  type        = string
  default     = null

  validation {
    condition = (
      var.permissions_boundary == null ||
      can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary))
    )
    error_message = "permissions_boundary must be the ARN of an IAM policy, or null."
  }
}

variable "require_freshness" {
  description = "Whether signed requests that carry neither run_id nor issued_at are refused."
  type        = bool
  default     = false
  nullable    = false
}

variable "salt" {
  description = "Enters the hash in all names; set it where another account took a bucket's name."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]{0,64}$", var.salt))
    error_message = "salt must be at most 64 of the characters A-Z a-z 0-9 _ . -."
  }
}

variable "secret_path_prefix" {
  description = "Prefix of the SSM parameters and secrets that jobs may name, without a leading /."
  type        = string
  default     = "iac-ci/"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*/$", var.secret_path_prefix))
    error_message = "secret_path_prefix must end in / and not start with it, such as iac-ci/."
  }
}

variable "sns_topic_arns" {
  description = "ARNs of the SNS topics that may invoke process_webhook."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.sns_topic_arns :
      can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))
    ])
    error_message = "sns_topic_arns must hold ARNs of standard SNS topics."
  }
}

variable "webhook_secret_parameter" {
  description = "Name of the SSM SecureString with the webhook secret; without it the API says 503."
  type        = string
  default     = "/iac-ci/webhook_secret"
  nullable    = false

  validation {
    condition     = can(regex("^(/[A-Za-z0-9_.-]+)+$", var.webhook_secret_parameter))
    error_message = "webhook_secret_parameter must be a name that starts with /, such as /a/secret."
  }
}

variable "worker_ephemeral_storage_mb" {
  description = "Size of the worker Lambda's /tmp in MB; a terraform provider takes about 700."
  type        = number
  default     = 2048
  nullable    = false

  validation {
    condition = (
      var.worker_ephemeral_storage_mb >= 512 && var.worker_ephemeral_storage_mb <= 10240 &&
      floor(var.worker_ephemeral_storage_mb) == var.worker_ephemeral_storage_mb
    )
    error_message = "worker_ephemeral_storage_mb must be a whole number from 512 to 10240."
  }
}
