# Files in: the bucket that they are put into by signed links, the table of what is known of each, the queue that S3 tells, and the function
# that loads. The order of all that is in the library: aws/src/uploads.rs.

locals {
  folder = "content"
  # The most that Lambda gives: a file that takes longer goes on in the next invocation.
  timeout_seconds = 900
  # Lambda's own advice for a queue that it polls. The function has a message come again soon after its own end.
  hidden_seconds = 6 * local.timeout_seconds
  # Only those count in which nothing was loaded: an upload that goes on has a new message. The function has others come again after a minute, then
  # two, up to fifteen: three quarters of an hour in all, and hours where the stream takes nothing.
  tries = 10
  # Two is the least that SQS can be held to.
  instances = 2
  # A notification lives for 14 days in the queue, or since it came to the dead-letter queue, which keeps the time at which it was sent.
  content_days = 15

  url     = "s3://${module.bucket.name}/${local.folder}"
  objects = "${module.bucket.arn}/${local.folder}/*"
}

module "bucket" {
  source = "../bucket"

  name       = "${var.prefix}-uploads-${var.bucket_suffix}"
  on_destroy = var.on_destroy
  # Each put is a version of its own: what is loaded stays what it was, whatever is put by the same link. A version that another one hides lives as long
  # as any: its notification may wait for 14 days, and be the first that is dealt with.
  undelete_days = local.content_days
  expire_days   = { "${local.folder}/" = local.content_days }
}

# A page of these origins may put a file by a link that it was given.
resource "aws_s3_bucket_cors_configuration" "pages" {
  count  = length(var.cors_origins) > 0 ? 1 : 0
  bucket = module.bucket.name

  cors_rule {
    allowed_methods = ["PUT"]
    allowed_origins = var.cors_origins
    allowed_headers = ["content-type"]
    max_age_seconds = 3600
  }
}

resource "aws_s3_bucket_notification" "arrived" {
  bucket = module.bucket.name

  queue {
    id            = "arrived"
    queue_arn     = aws_sqs_queue.arrived.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "${local.folder}/"
  }

  # S3 tries whether it may send.
  depends_on = [aws_sqs_queue_policy.this]
}

resource "aws_sqs_queue" "arrived" {
  name                    = "${var.prefix}-uploads"
  sqs_managed_sse_enabled = true

  # As long as SQS keeps anything: content that was put is loaded.
  message_retention_seconds  = 14 * 24 * 3600
  visibility_timeout_seconds = local.hidden_seconds

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = local.tries
  })
}

resource "aws_sqs_queue" "dead" {
  name                      = "${var.prefix}-uploads-dead"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 14 * 24 * 3600
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.arrived.arn]
  })
}

resource "aws_sqs_queue_policy" "this" {
  for_each = {
    arrived = aws_sqs_queue.arrived
    dead    = aws_sqs_queue.dead
  }

  queue_url = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for queue in [each.key] : {
        Sid       = "TheBucketTells"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = each.value.arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = module.bucket.arn }
          StringEquals = { "aws:SourceAccount" = var.account.id }
        }
      } if queue == "arrived"],
      [{
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = each.value.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }],
    )
  })
}

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:Encrypted with the key that AWS manages for DynamoDB; it holds owners and the names of files, no event.
  name         = "${var.prefix}-uploads"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"

  dynamic "attribute" {
    for_each = { id = "S", owner = "S", shelf = "S", created = "N" }

    content {
      name = attribute.key
      type = attribute.value
    }
  }

  global_secondary_index {
    name            = "owners"
    hash_key        = "owner"
    range_key       = "created"
    projection_type = "ALL"
  }

  global_secondary_index {
    name            = "all"
    hash_key        = "shelf"
    range_key       = "created"
    projection_type = "ALL"
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

module "loader" {
  source = "../function"

  prefix          = var.prefix
  name            = "loader"
  description     = "Loads files that were put into the uploads' bucket into the stream."
  settings        = var.functions
  timeout_seconds = local.timeout_seconds

  environment = {
    ALLUVIUM_STREAM__NAME            = var.stream.name
    ALLUVIUM_UPLOADS__BUCKET         = local.url
    ALLUVIUM_UPLOADS__TABLE          = aws_dynamodb_table.this.name
    ALLUVIUM_UPLOADS__QUEUE          = aws_sqs_queue.arrived.id
    ALLUVIUM_UPLOADS__MAX_BYTES      = tostring(var.settings.max_megabytes * 1024 * 1024)
    ALLUVIUM_UPLOADS__EXPANDED_BYTES = tostring(var.settings.expanded_megabytes * 1024 * 1024)
    ALLUVIUM_UPLOADS__KEPT           = "${var.settings.kept_days}d"
    # As many instances as there may be put this much together.
    ALLUVIUM_UPLOADS__BYTES_PER_SECOND = tostring(floor(var.settings.kilobytes_per_second * 1024 / local.instances))
  }

  statements = [
    {
      # It sends itself a message where a file goes on.
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:SendMessage"]
      resources = [aws_sqs_queue.arrived.arn]
    },
    {
      # Without it, what is not there is not told from what must not be read. It lists nothing; held to a prefix, which a read has not, it would
      # say nothing of reads.
      actions   = ["s3:ListBucket"]
      resources = [module.bucket.arn]
    },
    {
      # The bucket keeps versions, so every notification names one.
      actions   = ["s3:GetObjectVersion", "s3:DeleteObjectVersion"]
      resources = [local.objects]
    },
    {
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
      resources = [aws_dynamodb_table.this.arn]
    },
    {
      actions   = ["kinesis:PutRecords"]
      resources = [var.stream.arn]
    },
  ]
}

resource "aws_lambda_event_source_mapping" "arrived" {
  event_source_arn = aws_sqs_queue.arrived.arn
  function_name    = module.loader.live_arn

  # A file may take all the time of an invocation.
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = local.instances
  }
}
