# Every bucket: encrypted, reached over TLS alone, closed to the public.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "promises" {
  command = apply

  module {
    source = "./modules/bucket"
  }

  variables {
    name          = "a-bucket"
    on_destroy    = "refuse"
    undelete_days = 7
    expire_days   = { "source/" = 3 }
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule :
      rule.apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    ])
    error_message = "Objects are encrypted."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "All four blocks of public access are on."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "Access lists have no effect."
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      statement.Effect == "Deny" && statement.Principal == "*" && statement.Action == "s3:*" && length(statement.Resource) == 2
      && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
    ])
    error_message = "Requests without TLS are denied, on the bucket and its objects."
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      statement.Effect == "Deny" && try(statement.Condition.NumericLessThan["s3:TlsVersion"], "") == "1.2"
    ])
    error_message = "TLS before 1.2 is denied."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this[0].versioning_configuration[0].status == "Enabled"
    error_message = "With undelete_days a removed object can be brought back."
  }

  assert {
    condition = anytrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      rule.status == "Enabled" && try(rule.noncurrent_version_expiration[0].noncurrent_days, 0) == 7
    ])
    error_message = "Removed objects are gone for good after undelete_days."
  }

  assert {
    condition = anytrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      rule.status == "Enabled" && try(rule.abort_incomplete_multipart_upload[0].days_after_initiation, 0) == 1
    ])
    error_message = "Unfinished uploads are removed after a day."
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : [rule.filter[0].prefix, rule.expiration[0].days]
      if try(rule.expiration[0].days, 0) > 0
    ] == [["source/", 3]]
    error_message = "Only what is under the prefix named expires, after its days."
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "A bucket that holds data is not destroyed unless on_destroy says so."
  }
}

run "nothing_expires_unless_told" {
  command = apply

  module {
    source = "./modules/bucket"
  }

  variables {
    name       = "a-bucket"
    on_destroy = "delete"
  }

  assert {
    condition = alltrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      try(rule.expiration[0].days, 0) == 0 && try(rule.expiration[0].date, null) == null
    ])
    error_message = "Without expire_days no object expires."
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy && length(aws_s3_bucket_versioning.this) == 0
    error_message = "on_destroy = delete takes what a bucket holds with it; without undelete_days no versions are kept."
  }
}
