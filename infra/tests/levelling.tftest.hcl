# Load levelling: what waits is kept, is written no faster than set, and whoever writes it may do nothing else.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix                 = "alluvium-test"
  lake_url               = "s3://lake/lake"
  parcels_arn            = "arn:aws:s3:::lake/lake/_hot/*"
  hot_table              = { name = "hot", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/hot" }
  write_units_per_second = 501
  on_destroy             = "refuse"

  functions = {
    architecture     = "arm64"
    package_dir      = "no-such-folder"
    live_versions    = {}
    memory_megabytes = { hot-writer = 256 }
    log_days         = 30
    environment      = {}
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/levelling"
  }

  assert {
    condition     = aws_sqs_queue.buffer.sqs_managed_sse_enabled && aws_sqs_queue.buffer_dead.sqs_managed_sse_enabled
    error_message = "Messages are encrypted."
  }

  assert {
    condition = (
      aws_sqs_queue.buffer.message_retention_seconds == 1209600
      && aws_sqs_queue.buffer_dead.message_retention_seconds == 1209600
    )
    error_message = "What waits is kept for the 14 days that SQS keeps anything at most."
  }

  assert {
    condition = (
      jsondecode(aws_sqs_queue.buffer.redrive_policy).maxReceiveCount == 1000
      && jsondecode(aws_sqs_queue.buffer.redrive_policy).deadLetterTargetArn == aws_sqs_queue.buffer_dead.arn
    )
    error_message = "A table that is throttled for hours sets nothing aside."
  }

  assert {
    condition     = aws_sqs_queue.buffer.visibility_timeout_seconds >= 6 * 60
    error_message = "A message stays hidden for six times the function's time-out."
  }

  assert {
    condition = alltrue([
      for policy in values(aws_sqs_queue_policy.only_tls) :
      jsondecode(policy.policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    ]) && length(aws_sqs_queue_policy.only_tls) == 2
    error_message = "Both queues refuse what does not come by TLS."
  }

  assert {
    condition = (
      aws_lambda_event_source_mapping.buffer.scaling_config[0].maximum_concurrency == 2
      && module.hot_writer.environment["ALLUVIUM_HOT__WRITE_UNITS_PER_SECOND"] == "250"
    )
    error_message = "As many instances as there may be write together no faster than write_units_per_second."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.buffer.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "Of a batch only what is not written comes again."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.buffer.function_name == module.hot_writer.live_arn
    error_message = "The queue calls the alias live."
  }

  assert {
    condition = (
      one(aws_dynamodb_table.waiting.ttl).attribute_name == "expires_at"
      && one(aws_dynamodb_table.waiting.server_side_encryption).enabled
      && aws_dynamodb_table.waiting.billing_mode == "PAY_PER_REQUEST"
      && aws_dynamodb_table.waiting.deletion_protection_enabled
    )
    error_message = "Notes are encrypted, cost nothing while there are none, go when what waits has expired, and stay with the index."
  }

  assert {
    condition = {
      for statement in jsondecode(module.hot_writer.policy).Statement :
      one(statement.Resource) => statement.Action if startswith(statement.Action[0], "dynamodb:")
      } == {
      (var.hot_table.arn)              = ["dynamodb:BatchWriteItem"]
      (aws_dynamodb_table.waiting.arn) = ["dynamodb:PutItem", "dynamodb:DeleteItem"]
    }
    error_message = "The hot-writer puts chunks into the index, and removes nothing but notes of what waits."
  }
}

run "a_stage_whose_data_may_go" {
  command = apply

  module {
    source = "./modules/levelling"
  }

  variables {
    on_destroy = "delete"
  }

  assert {
    condition     = !aws_dynamodb_table.waiting.deletion_protection_enabled
    error_message = "Where data may be deleted, notes may."
  }
}
