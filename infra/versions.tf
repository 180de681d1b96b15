terraform {
  # 1.11 is the first in which a lock of the state in S3 itself is no experiment any more.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
