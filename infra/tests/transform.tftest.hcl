# The delivery: what Firehose is told, what it keeps, and where that goes which nobody took.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix               = "alluvium-test"
  bucket_suffix        = "123456789012-eu-west-1"
  account              = { id = "123456789012", region = "eu-west-1", partition = "aws" }
  stream_arn           = "arn:aws:kinesis:eu-west-1:123456789012:stream/events"
  lake_url             = "s3://lake/lake"
  data_files_arn       = "arn:aws:s3:::lake/lake/*"
  commit_queue         = { url = "https://queue", arn = "arn:aws:sqs:eu-west-1:123456789012:commits" }
  hot_table            = { name = "hot", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/hot" }
  hot_buffer           = { url = "https://buffer", arn = "arn:aws:sqs:eu-west-1:123456789012:hot-buffer" }
  waiting_table        = { name = "waiting", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/waiting" }
  delivery             = "firehose"
  buffer_seconds       = 5
  buffer_megabytes     = 1
  raw_backup_days      = 7
  on_destroy           = "refuse"
  owner                = "anonymous"
  default_dataset      = null
  hot_margin           = "1h"
  pseudonym_secret_arn = null

  functions = {
    architecture     = "arm64"
    package_dir      = "no-such-folder"
    live_versions    = {}
    memory_megabytes = { transform = 512 }
    log_days         = 14
    environment      = {}
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/transform"
  }

  assert {
    condition = tomap({
      for parameter in aws_kinesis_firehose_delivery_stream.this[0].extended_s3_configuration[0].processing_configuration[0].processors[0].parameters :
      parameter.parameter_name => parameter.parameter_value
    }) == tomap({ LambdaArn = module.transform.live_arn, BufferIntervalInSeconds = "5" })
    error_message = "Firehose calls the transform's alias live every buffer_seconds, its own defaults left unnamed."
  }

  assert {
    condition     = endswith(module.transform.live_arn, ":live")
    error_message = "Firehose calls the alias live."
  }

  assert {
    condition     = startswith(aws_kinesis_firehose_delivery_stream.this[0].extended_s3_configuration[0].error_output_prefix, "!{firehose:error-output-type}/")
    error_message = "What failed lands under its kind: processing-failed/."
  }

  assert {
    condition     = aws_kinesis_firehose_delivery_stream.this[0].extended_s3_configuration[0].s3_backup_mode == "Enabled"
    error_message = "Every record is kept as it came in."
  }

  assert {
    condition = alltrue([
      for backup in aws_kinesis_firehose_delivery_stream.this[0].extended_s3_configuration[0].s3_backup_configuration :
      backup.prefix == "source/" && backup.bucket_arn == module.landing.arn
    ]) && output.landing.expire_days == tomap({ "source/" = 7, "drained/" = 7 })
    error_message = "The backup goes where it expires after raw_backup_days; nothing expires that is not somewhere else (IN-1)."
  }

  assert {
    condition     = aws_cloudwatch_log_group.firehose.retention_in_days == 14
    error_message = "Firehose's log ends after log_days."
  }

  assert {
    condition     = jsondecode(aws_iam_role.firehose.assume_role_policy).Statement[0].Condition == { StringEquals = { "sts:ExternalId" = "123456789012" } }
    error_message = "Only Firehose of this account takes the role."
  }

  assert {
    condition = [
      for statement in jsondecode(module.transform.policy).Statement : one(statement.Resource)
      if contains(statement.Action, "dynamodb:PutItem")
    ] == [var.waiting_table.arn]
    error_message = "Single items the transform puts only into the table of what waits."
  }

  assert {
    condition = (
      !contains(keys(module.transform.environment), "ALLUVIUM_PSEUDONYM_KEY")
      && !strcontains(module.transform.policy, "secretsmanager")
    )
    error_message = "Without a key of pseudonyms the transform may read no secret."
  }
}

run "no_backup" {
  command = apply

  module {
    source = "./modules/transform"
  }

  variables {
    raw_backup_days = 0
    buffer_seconds  = 60
  }

  assert {
    condition = (
      aws_kinesis_firehose_delivery_stream.this[0].extended_s3_configuration[0].s3_backup_mode == "Disabled"
      && !contains(keys(output.landing.expire_days), "source/")
    )
    error_message = "raw_backup_days = 0 keeps nothing."
  }

  assert {
    condition     = length(aws_kinesis_firehose_delivery_stream.this[0].extended_s3_configuration[0].processing_configuration[0].processors[0].parameters) == 1
    error_message = "A parameter with Firehose's own default is not named, or every plan would show a change."
  }
}

run "external_delivery" {
  command = apply

  module {
    source = "./modules/transform"
  }

  variables {
    delivery = "external"
  }

  assert {
    condition     = length(aws_kinesis_firehose_delivery_stream.this) == 0
    error_message = "With a loop of one's own no Firehose reads the stream too."
  }
}
