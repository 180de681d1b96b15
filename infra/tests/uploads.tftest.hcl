# Files in: a bucket that nobody reads, a queue that only it fills, a function that loads and may do nothing else.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix        = "alluvium-test"
  bucket_suffix = "123456789012-eu-west-1"
  account       = { id = "123456789012", region = "eu-west-1", partition = "aws" }
  stream        = { name = "events", arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/events" }
  cors_origins  = ["https://console.example"]
  on_destroy    = "refuse"

  settings = {
    max_megabytes        = 1024
    expanded_megabytes   = 16384
    stored_megabytes     = 8192
    unfinished           = 256
    unfinished_of_owner  = 16
    kept_days            = 7
    kilobytes_per_second = 1025
  }

  functions = {
    architecture     = "arm64"
    package_dir      = "no-such-folder"
    live_versions    = {}
    memory_megabytes = { loader = 1024 }
    log_days         = 30
    environment      = {}
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/uploads"
  }

  assert {
    condition = (
      one(aws_s3_bucket_notification.arrived.queue).queue_arn == aws_sqs_queue.arrived.arn
      && one(aws_s3_bucket_notification.arrived.queue).events == toset(["s3:ObjectCreated:*"])
      && one(aws_s3_bucket_notification.arrived.queue).filter_prefix == "content/"
    )
    error_message = "Each file that is put is told of."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_sqs_queue_policy.this["arrived"].policy).Statement : statement if statement.Effect == "Allow"
      ] == [{
        Sid       = "TheBucketTells"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.arrived.arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = module.bucket.arn }
          StringEquals = { "aws:SourceAccount" = "123456789012" }
        }
    }]
    error_message = "Only the bucket fills the queue."
  }

  assert {
    condition = alltrue([
      for policy in values(aws_sqs_queue_policy.this) : anytrue([
        for statement in jsondecode(policy.policy).Statement :
        statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
      ])
    ]) && length(aws_sqs_queue_policy.this) == 2
    error_message = "Both queues refuse what does not come by TLS."
  }

  assert {
    condition     = aws_sqs_queue.arrived.sqs_managed_sse_enabled && aws_sqs_queue.dead.sqs_managed_sse_enabled
    error_message = "Messages are encrypted."
  }

  assert {
    condition = (
      aws_sqs_queue.arrived.visibility_timeout_seconds >= 6 * module.loader.timeout_seconds
      && jsondecode(aws_sqs_queue.arrived.redrive_policy).maxReceiveCount == 10
      && jsondecode(aws_sqs_queue.arrived.redrive_policy).deadLetterTargetArn == aws_sqs_queue.dead.arn
      && aws_sqs_queue.dead.message_retention_seconds == 1209600
    )
    error_message = "A message stays hidden for six times the function's time-out, and what cannot be loaded is set aside."
  }

  assert {
    condition = (
      module.bucket.expire_days["content/"] * 86400 > aws_sqs_queue.dead.message_retention_seconds
      && module.bucket.undelete_days == module.bucket.expire_days["content/"]
    )
    error_message = "A file lives for longer than the last message that may name it, each version of it."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.arrived.function_name == module.loader.live_arn
      && aws_lambda_event_source_mapping.arrived.batch_size == 1
      && aws_lambda_event_source_mapping.arrived.function_response_types == toset(["ReportBatchItemFailures"])
      && aws_lambda_event_source_mapping.arrived.scaling_config[0].maximum_concurrency == 2
      && module.loader.environment["ALLUVIUM_UPLOADS__BYTES_PER_SECOND"] == "524800"
    )
    error_message = "The queue calls the alias live, with one file at a time, and all instances together put no more than is set."
  }

  assert {
    condition = (
      one(aws_s3_bucket_cors_configuration.pages[0].cors_rule).allowed_methods == toset(["PUT"])
      && one(aws_s3_bucket_cors_configuration.pages[0].cors_rule).allowed_origins == toset(["https://console.example"])
    )
    error_message = "Pages of the origins named may put files, and do nothing else."
  }

  assert {
    condition = (
      one(aws_dynamodb_table.this.ttl).attribute_name == "expires_at"
      && one(aws_dynamodb_table.this.server_side_encryption).enabled
      && aws_dynamodb_table.this.deletion_protection_enabled
      && aws_dynamodb_table.this.hash_key == "id"
      && toset([for index in aws_dynamodb_table.this.global_secondary_index : "${index.name} ${index.hash_key} ${index.range_key} ${index.projection_type}"])
      == toset(["owners owner created ALL", "all shelf created ALL"])
    )
    error_message = "The table is encrypted, forgets by itself, and has the keys that the functions use."
  }

  assert {
    condition = [
      for statement in jsondecode(module.loader.policy).Statement : [statement.Action, statement.Resource]
      if length([for action in statement.Action : action if startswith(action, "s3:") && action != "s3:ListBucket"]) > 0
    ] == [[["s3:GetObjectVersion", "s3:DeleteObjectVersion"], ["arn:aws:s3:::mocked/content/*"]]]
    error_message = "The loader reads and removes versions of what was put, and nothing else."
  }
}

run "no_page" {
  command = apply

  module {
    source = "./modules/uploads"
  }

  variables {
    cors_origins = []
    on_destroy   = "delete"
  }

  assert {
    condition     = length(aws_s3_bucket_cors_configuration.pages) == 0 && !aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "No page may put files unless its origin is named; where data may be deleted, what is known of files may."
  }
}

run "a_stage_with_uploads" {
  command = apply

  variables {
    stage          = "test"
    secret_version = 0
    stream_shards  = 4
  }

  assert {
    condition = (
      module.serving.functions.gateway.environment["ALLUVIUM_UPLOADS__BUCKET"] == module.uploads[0].functions.loader.environment["ALLUVIUM_UPLOADS__BUCKET"]
      && module.serving.functions.gateway.environment["ALLUVIUM_UPLOADS__TABLE"] == module.uploads[0].functions.loader.environment["ALLUVIUM_UPLOADS__TABLE"]
      && module.serving.functions.gateway.environment["ALLUVIUM_UPLOADS__MAX_BYTES"] == module.uploads[0].functions.loader.environment["ALLUVIUM_UPLOADS__MAX_BYTES"]
    )
    error_message = "Who asks for an upload and who loads it know of the same."
  }

  assert {
    condition = (
      aws_ssm_parameter.shared["uploads_url"].value == module.serving.functions.gateway.environment["ALLUVIUM_UPLOADS__BUCKET"]
      && aws_ssm_parameter.shared["uploads_table"].value == module.serving.functions.gateway.environment["ALLUVIUM_UPLOADS__TABLE"]
    )
    error_message = "Commands find uploads, so that an erasure takes them along."
  }

  assert {
    condition     = module.uploads[0].functions.loader.environment["ALLUVIUM_UPLOADS__BYTES_PER_SECOND"] == "1048576"
    error_message = "Unless set, files take half of what the shards take, in two instances."
  }

  assert {
    condition = flatten([
      for statement in jsondecode(module.serving.functions.gateway.policy).Statement : [
        for action in statement.Action : action if startswith(action, "s3:")
      ]
    ]) == ["s3:ListBucket", "s3:PutObject", "s3:DeleteObject"]
    error_message = "A link has the gateway's rights, and it reads no file."
  }

  assert {
    condition = [
      for statement in jsondecode(module.serving.functions.gateway.policy).Statement : statement.Condition
      if contains(statement.Action, "s3:ListBucket")
    ] == [{ StringLike = { "s3:prefix" = "content/*" } }]
    error_message = "The gateway lists files that were put, and nothing else."
  }
}

run "a_stage_without" {
  command = apply

  variables {
    stage          = "test"
    secret_version = 0
    uploads        = { enabled = false }
  }

  assert {
    condition = (
      length(module.uploads) == 0 && !contains(keys(local.every_function), "loader") && output.uploads_bucket == null
      && !contains(keys(aws_ssm_parameter.shared), "uploads_table") && !contains(keys(module.watch.alarms), "uploads-dead") && !contains(keys(module.serving.functions.gateway.environment), "ALLUVIUM_UPLOADS__TABLE")
    )
    error_message = "Without uploads nothing of them is there."
  }
}
