variable "aws_region" {
  description = "Region of the state bucket, such as eu-west-1."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", var.aws_region))
    error_message = "aws_region must be the code of a region, such as eu-west-1."
  }
}

variable "state_bucket_name" {
  description = "Name of the state bucket; unique among all buckets of AWS."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket_name))
    error_message = "state_bucket_name must be 3 to 63 of a-z 0-9 -, with no - at an end."
  }
}
