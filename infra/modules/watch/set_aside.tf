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
        Sid       = "TheLandingBucketTells"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.set_aside.arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account.id }
          ArnEquals    = { "aws:SourceArn" = var.landing.arn }
        }
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

# A bucket has one such configuration: whoever else listens to this one has to be added here.
resource "aws_s3_bucket_notification" "landing" {
  bucket = var.landing.name

  dynamic "queue" {
    for_each = ["processing-failed/", "unexpected/"]

    content {
      id            = trimsuffix(queue.value, "/")
      queue_arn     = aws_sqs_queue.set_aside.arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = queue.value
    }
  }

  depends_on = [aws_sqs_queue_policy.set_aside]
}

output "set_aside_queue_url" {
  description = "The queue of notes about what was put aside."
  value       = aws_sqs_queue.set_aside.id
}
