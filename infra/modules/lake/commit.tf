# The commit queue, where what it cannot deliver ends, and the function that adds data files to the tables.

locals {
  # Lambda's own advice for a queue that it polls: six times the function's time-out, and the window.
  hidden_seconds = 6 * var.commit_timeout_seconds + var.commit_seconds
  tries          = 5

  announce_statements = [for topic in aws_sns_topic.commits : { actions = ["sns:Publish"], resources = [topic.arn] }]
}

resource "aws_sqs_queue" "commits" {
  name                    = "${var.prefix}-commits"
  sqs_managed_sse_enabled = true

  # As long as SQS keeps anything. A message that is lost would leave acknowledged events out of the tables (IN-1).
  message_retention_seconds = 14 * 24 * 3600

  visibility_timeout_seconds = local.hidden_seconds

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.commits_dead.arn
    maxReceiveCount     = local.tries
  })
}

resource "aws_sqs_queue" "commits_dead" {
  name                      = "${var.prefix}-commits-dead"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 14 * 24 * 3600
}

resource "aws_sqs_queue_redrive_allow_policy" "commits_dead" {
  queue_url = aws_sqs_queue.commits_dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.commits.arn]
  })
}

resource "aws_sqs_queue_policy" "only_tls" {
  for_each = {
    commits      = aws_sqs_queue.commits
    commits_dead = aws_sqs_queue.commits_dead
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

resource "aws_sns_topic" "commits" {
  count = var.announce_commits ? 1 : 0

  name              = "${var.prefix}-commits"
  display_name      = "${var.prefix}: commits"
  kms_master_key_id = "alias/aws/sns"
}

# Who of this account may publish and subscribe, their own policies say.
resource "aws_sns_topic_policy" "commits" {
  count = var.announce_commits ? 1 : 0

  arn = aws_sns_topic.commits[0].arn

  policy = jsonencode({
    Version = "2012-10-17"

    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.commits[0].arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

module "commit" {
  source = "../function"

  prefix          = var.prefix
  name            = "commit"
  description     = "Adds the data files that commit messages name to the Delta tables, each once."
  settings        = var.functions
  timeout_seconds = var.commit_timeout_seconds

  environment = {
    ALLUVIUM_LAKE                     = local.lake_url
    ALLUVIUM_COMMIT__CHECKPOINT_EVERY = tostring(var.checkpoint_every)
    ALLUVIUM_COMMIT__QUEUE            = aws_sqs_queue.commits.url
    ALLUVIUM_COMMIT__TOPIC            = one(aws_sns_topic.commits[*].arn)
    ALLUVIUM_HOT__TABLE               = var.hot_table.name
  }

  statements = concat(local.announce_statements, [
    {
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
      resources = [aws_sqs_queue.commits.arn]
    },
    {
      actions   = ["s3:ListBucket"]
      resources = [module.bucket.arn]
    },
    {
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = [local.tables]
    },
    {
      # The mark since when the hot index is complete, of a dataset whose table this function has newly made.
      actions   = ["dynamodb:PutItem"]
      resources = [var.hot_table.arn]
    },
  ])
}

resource "aws_lambda_event_source_mapping" "commits" {
  event_source_arn = aws_sqs_queue.commits.arn
  function_name    = module.commit.live_arn

  batch_size                         = 100
  maximum_batching_window_in_seconds = var.commit_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  # Writers of one table race for its next version, so more of them commit less. Two is the least that SQS can be held to.
  scaling_config {
    maximum_concurrency = 2
  }
}
