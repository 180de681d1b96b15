# Load levelling of the hot index: where chunks wait that its table does not take in time, where that is noted, and the function
# that writes them at a set rate. The order of all that is in the library: aws/src/levelled.rs.

locals {
  timeout_seconds = 60
  # Lambda's own advice for a queue that it polls: six times the function's time-out, and the window.
  window_seconds = 1
  hidden_seconds = 6 * local.timeout_seconds + local.window_seconds
  # The most that SQS counts to. The function has what it could not write come again after 5 seconds, then 10, up to 5 minutes,
  # so this is more than three days: a table may be throttled for hours.
  tries = 1000
  # Two is the least that SQS can be held to.
  instances = 2
}

resource "aws_sqs_queue" "buffer" {
  name                    = "${var.prefix}-hot-buffer"
  sqs_managed_sse_enabled = true

  # As long as SQS keeps anything.
  message_retention_seconds  = 14 * 24 * 3600
  visibility_timeout_seconds = local.hidden_seconds

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.buffer_dead.arn
    maxReceiveCount     = local.tries
  })
}

resource "aws_sqs_queue" "buffer_dead" {
  name                      = "${var.prefix}-hot-buffer-dead"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 14 * 24 * 3600
}

resource "aws_sqs_queue_redrive_allow_policy" "buffer_dead" {
  queue_url = aws_sqs_queue.buffer_dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.buffer.arn]
  })
}

resource "aws_sqs_queue_policy" "only_tls" {
  for_each = {
    buffer      = aws_sqs_queue.buffer
    buffer_dead = aws_sqs_queue.buffer_dead
  }

  queue_url = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = each.value.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

# A table of its own: the hot index's takes no note while it is throttled. It is empty while nothing waits.
resource "aws_dynamodb_table" "waiting" {
  #checkov:skip=CKV_AWS_119:Encrypted with the key that AWS manages for DynamoDB; it holds paths and times, no event.
  name         = "${var.prefix}-hot-waiting"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    enabled        = true
    attribute_name = "expires_at"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  deletion_protection_enabled = var.on_destroy == "refuse"
}

module "hot_writer" {
  source = "../function"

  prefix          = var.prefix
  name            = "hot-writer"
  description     = "Writes chunks that the hot index did not take in time, at a set rate."
  settings        = var.functions
  timeout_seconds = local.timeout_seconds

  environment = {
    ALLUVIUM_LAKE         = var.lake_url
    ALLUVIUM_HOT__TABLE   = var.hot_table.name
    ALLUVIUM_HOT__WAITING = aws_dynamodb_table.waiting.name
    ALLUVIUM_HOT__BUFFER  = aws_sqs_queue.buffer.id
    # As many instances as there may be write this much together.
    ALLUVIUM_HOT__WRITE_UNITS_PER_SECOND = tostring(floor(var.write_units_per_second / local.instances))
  }

  statements = [
    {
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
      resources = [aws_sqs_queue.buffer.arn]
    },
    {
      actions   = ["s3:GetObject"]
      resources = [var.parcels_arn]
    },
    {
      # Chunks.
      actions   = ["dynamodb:BatchWriteItem"]
      resources = [var.hot_table.arn]
    },
    {
      # Both notes in one transaction: that a parcel is drained, and no longer that it waits.
      actions   = ["dynamodb:PutItem", "dynamodb:DeleteItem"]
      resources = [aws_dynamodb_table.waiting.arn]
    },
  ]
}

resource "aws_lambda_event_source_mapping" "buffer" {
  event_source_arn = aws_sqs_queue.buffer.arn
  function_name    = module.hot_writer.live_arn

  batch_size                         = 10
  maximum_batching_window_in_seconds = local.window_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = local.instances
  }
}
