variable "aws_region" {
  description = "Region of the repository: that of the functions, which pull from their own only."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", var.aws_region))
    error_message = "aws_region must be the code of a region, such as eu-west-1."
  }
}
