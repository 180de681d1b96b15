# What the transform never took: each object that is put aside leaves a note in a queue, so that the alarm holds until somebody has
# seen to it, and not for the five minutes after it came.

resource "aws_sqs_queue" "set_aside" {
  name                    = "${var.prefix}-set-aside"
  sqs_managed_sse_enabled = true
  # As long as SQS keeps anything. The objects themselves do not expire.
  message_retention_seconds = 14 * 24 * 3600
}

resource "aws_sqs_queue_policy" "set_aside" {
  queue_url = aws_sqs_queue.set_aside.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheRuleTells"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.set_aside.arn
        Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.set_aside.arn } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.set_aside.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# Through EventBridge, and not from the bucket to the queue: S3 would send a queue a test message first, which would set the alarm off.
resource "aws_s3_bucket_notification" "landing" {
  bucket      = var.landing
  eventbridge = true
}

resource "aws_cloudwatch_event_rule" "set_aside" {
  name        = "${var.prefix}-set-aside"
  description = "Objects that hold records which the transform never took, or gave back."

  event_pattern = jsonencode({
    source        = ["aws.s3"]
    "detail-type" = ["Object Created"]
    detail = {
      bucket = { name = [var.landing] }
      object = { key = [{ prefix = "processing-failed/" }, { prefix = "unexpected/" }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "set_aside" {
  rule = aws_cloudwatch_event_rule.set_aside.name
  arn  = aws_sqs_queue.set_aside.arn

  depends_on = [aws_sqs_queue_policy.set_aside]
}

output "set_aside_queue_url" {
  description = "The queue of notes about what was put aside."
  value       = aws_sqs_queue.set_aside.id
}
