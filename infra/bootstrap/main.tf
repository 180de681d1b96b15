# What has to be there before a stage can be deployed by others than the person who made it: a bucket for Terraform's states, and GitHub's roles.
# Applied once to an account, by a person, with a state of its own in this folder.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

variable "name" {
  description = "What every name begins with, as in the stack."
  type        = string
  default     = "alluvium"
}

variable "region" {
  description = "Where the states are kept."
  type        = string
}

variable "repository" {
  description = "The repository on GitHub that deploys: `owner/name`. Not set: none does."
  type        = string
  default     = null

  validation {
    condition     = var.repository == null || can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "repository must be an owner and a name, such as \"example/alluvium\"."
  }
}

variable "stages" {
  description = "The stages that GitHub deploys."
  type        = set(string)
  default     = ["dev", "prod"]

  validation {
    condition     = alltrue([for stage in var.stages : can(regex("^[a-z][a-z0-9-]{0,15}$", stage)) && !endswith(stage, "-")])
    error_message = "stages must be names of stages, such as [\"dev\"]."
  }

  # What is a stage's own is told by how its name begins.
  validation {
    condition     = alltrue([for pair in setproduct(var.stages, var.stages) : !startswith(pair[1], "${pair[0]}-")])
    error_message = "stages must not have one that goes on with a hyphen after another's name, such as \"dev-2\" beside \"dev\": the role that deploys the one would reach the other's roles. Call it \"dev2\"."
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { application = var.name }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

module "states" {
  source = "../modules/bucket"

  name          = "${var.name}-state-${data.aws_caller_identity.current.account_id}-${var.region}"
  on_destroy    = "refuse"
  undelete_days = 90
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.repository == null ? 0 : 1

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

module "github" {
  source   = "../modules/github"
  for_each = var.repository == null ? toset([]) : var.stages

  name         = var.name
  stage        = each.key
  account      = { id = data.aws_caller_identity.current.account_id, partition = data.aws_partition.current.partition }
  repository   = var.repository
  provider_arn = aws_iam_openid_connect_provider.github[0].arn
  state_bucket = module.states.name
}

output "state_bucket" {
  description = "The bucket, for infra/backend.hcl."
  value       = module.states.name
}

output "github_roles" {
  description = "The roles by stage and purpose, for the variables AWS_ROLE of GitHub's environments `<stage>-plan` and `<stage>`."
  value       = { for stage, roles in module.github : stage => roles.role_arns }
}
