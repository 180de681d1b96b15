# Firehose: reads the stream, calls the transform, keeps every record as it came in, and puts aside what the transform
# never took.

# What comes here was acknowledged: nothing but copies expires, the backup and what was handed over after all.
module "landing" {
  source = "../bucket"

  name        = "${var.prefix}-landing-${var.bucket_suffix}"
  on_destroy  = var.on_destroy
  expire_days = var.raw_backup_days > 0 ? { "source/" = var.raw_backup_days, "drained/" = var.raw_backup_days } : { "drained/" = 1 }
}

locals {
  name = "${var.prefix}-delivery"

  # Firehose does not tell of a parameter that has its own default, so naming one would show a change in every plan.
  processor = merge(
    { LambdaArn = module.transform.live_arn },
    var.buffer_megabytes == 1 ? {} : { BufferSizeInMBs = tostring(var.buffer_megabytes) },
    var.buffer_seconds == 60 ? {} : { BufferIntervalInSeconds = tostring(var.buffer_seconds) },
  )

  policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards"]
        Resource = [var.stream_arn]
      },
      {
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"]
        Resource = [module.transform.live_arn]
      },
      {
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = [module.landing.arn]
      },
      {
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = ["${module.landing.arn}/*"]
      },
      {
        Effect   = "Allow"
        Action   = ["logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.firehose.arn}:*"]
      },
    ]
  }
}

resource "aws_cloudwatch_log_group" "firehose" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; Firehose logs errors, not records.
  #checkov:skip=CKV_AWS_338:log_days is the operator's to choose; 30 days serve finding a fault.
  name              = "/aws/kinesisfirehose/${local.name}"
  retention_in_days = var.functions.log_days
}

resource "aws_cloudwatch_log_stream" "firehose" {
  for_each = toset(["delivery", "backup"])

  name           = each.key
  log_group_name = aws_cloudwatch_log_group.firehose.name
}

resource "aws_iam_role" "firehose" {
  name        = local.name
  description = "Reads the stream, calls the transform, writes backups and what failed."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "firehose.amazonaws.com" }
      # Firehose of another account, told of this role, must not get in by it.
      Condition = { StringEquals = { "sts:ExternalId" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "firehose" {
  name   = "own"
  role   = aws_iam_role.firehose.id
  policy = jsonencode(local.policy)
}

resource "aws_kinesis_firehose_delivery_stream" "this" {
  #checkov:skip=CKV_AWS_240:Firehose takes no encryption of its own when it reads a stream: the stream's holds.
  #checkov:skip=CKV_AWS_241:As above.
  count = var.delivery == "firehose" ? 1 : 0

  name        = local.name
  destination = "extended_s3"

  kinesis_source_configuration {
    kinesis_stream_arn = var.stream_arn
    role_arn           = aws_iam_role.firehose.arn
  }

  extended_s3_configuration {
    role_arn   = aws_iam_role.firehose.arn
    bucket_arn = module.landing.arn

    # The transform stores everything itself and answers `Dropped`. Objects under `unexpected/` mean that it did not.
    prefix              = "unexpected/!{timestamp:yyyy/MM/dd/HH}/"
    error_output_prefix = "!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/"
    buffering_interval  = 60
    buffering_size      = 5

    cloudwatch_logging_options {
      enabled         = true
      log_group_name  = aws_cloudwatch_log_group.firehose.name
      log_stream_name = aws_cloudwatch_log_stream.firehose["delivery"].name
    }

    processing_configuration {
      enabled = true

      processors {
        type = "Lambda"

        dynamic "parameters" {
          for_each = local.processor

          content {
            parameter_name  = parameters.key
            parameter_value = parameters.value
          }
        }
      }
    }

    s3_backup_mode = var.raw_backup_days > 0 ? "Enabled" : "Disabled"

    dynamic "s3_backup_configuration" {
      for_each = var.raw_backup_days > 0 ? [1] : []

      content {
        role_arn           = aws_iam_role.firehose.arn
        bucket_arn         = module.landing.arn
        prefix             = "source/"
        buffering_interval = 300
        buffering_size     = 64
        compression_format = "GZIP"

        cloudwatch_logging_options {
          enabled         = true
          log_group_name  = aws_cloudwatch_log_group.firehose.name
          log_stream_name = aws_cloudwatch_log_stream.firehose["backup"].name
        }
      }
    }
  }

  depends_on = [aws_iam_role_policy.firehose]
}
