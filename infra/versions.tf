terraform {
  # 1.11 is the first with write-only arguments, by which the signing secret stays out of the state.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
