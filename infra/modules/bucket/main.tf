# A bucket that only TLS reaches and no one from outside, encrypted, with old uploads and versions removed.

variable "name" {
  description = "The bucket's name."
  type        = string
}

variable "on_destroy" {
  description = "`refuse` to destroy the bucket while it holds anything, or `delete` what it holds."
  type        = string
}

variable "undelete_days" {
  description = "How long a removed or overwritten object can be brought back. 0: not at all."
  type        = number
  default     = 0
}

variable "expire_days" {
  description = "After how many days objects are removed, by prefix; the empty prefix is the whole bucket."
  type        = map(number)
  default     = {}
}

variable "statements" {
  description = "Further statements of the bucket's policy: who else may read or write it."
  type        = any
  default     = []
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_144:One region: what the lake holds was acknowledged by one region's stream. Replicate it where a region's loss must not lose it.
  #checkov:skip=CKV_AWS_145:SSE-S3. A key of one's own costs by request, and every writer here makes many small ones.
  #checkov:skip=CKV_AWS_18:Access logs would need a bucket more and hold owners' object names; CloudTrail's data events do better where they are wanted.
  #checkov:skip=CKV_AWS_21:Versions are kept where undelete_days says so: in the lake. Backups and results are copies that expire.
  #checkov:skip=CKV2_AWS_62:Only what is put aside in the landing bucket is listened for: see the module watch.
  bucket        = var.name
  force_destroy = var.on_destroy == "delete"
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_versioning" "this" {
  count  = var.undelete_days > 0 ? 1 : 0
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(var.statements, [
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "OnlyTls12"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
    ])
  })

  # S3 refuses two changes of a bucket's access at the same time.
  depends_on = [aws_s3_bucket_public_access_block.this, aws_s3_bucket_ownership_controls.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "leftovers"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }

    # Without versions there is nothing for these two to remove.
    noncurrent_version_expiration {
      noncurrent_days = max(1, var.undelete_days)
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    for_each = var.expire_days

    content {
      id     = rule.key == "" ? "expire" : "expire-${trimsuffix(rule.key, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

output "name" {
  description = "The bucket's name."
  value       = aws_s3_bucket.this.id
}

output "domain" {
  description = "Where CloudFront finds the bucket."
  value       = aws_s3_bucket.this.bucket_regional_domain_name
}

output "arn" {
  description = "The bucket's ARN."
  value       = aws_s3_bucket.this.arn
}

output "expire_days" {
  description = "After how many days objects are removed, by prefix."
  value       = var.expire_days
}

output "undelete_days" {
  description = "How long a removed or overwritten object can be brought back."
  value       = var.undelete_days
}
