# What goes on by itself: the function that maintains the lake, the schedules that call it, and where invocations end that failed.

locals {
  # The more often, the less it matters when: what comes once a day is spread over an hour, so that it does not all begin with a deploy.
  tasks = {
    compact  = { every = var.settings.compact, spread_minutes = 0, input = { task = "compact", within = var.settings.compact_within } }
    retain   = { every = var.settings.retain, spread_minutes = 15, input = { task = "retain" } }
    vacuum   = { every = var.settings.vacuum, spread_minutes = 60, input = { task = "vacuum" } }
    audit    = { every = var.settings.audit, spread_minutes = 60, input = { task = "audit" } }
    erasures = { every = var.settings.erasures, spread_minutes = 60, input = { task = "erasures" } }
  }
  scheduled = { for task, schedule in local.tasks : task => schedule if schedule.every != "" }

  # Where Firehose puts what it could not hand over, in the landing bucket.
  set_aside = "processing-failed"

  # The audit asks CloudWatch what it counted of the stream. That right knows no resources: Service Authorization Reference, "Actions, resources, and
  # condition keys for Amazon CloudWatch".
  counts = var.counted == null ? [] : [{ actions = ["cloudwatch:GetMetricData"], resources = ["*"] }]

  # What vacuum deletes lies in the tables' folders and in the object index. Commit messages, audits and erasures do not.
  deletable = concat([for table in var.lake.tables : "${var.lake.folder_arn}/${table}/*"], ["${var.lake.folder_arn}/_index/*"])
}

module "function" {
  source = "../function"

  prefix               = var.prefix
  name                 = "maintain"
  description          = "Compacts the lake's tables, takes out what is past its retention, deletes what nobody needs, audits, and looks after erasures."
  settings             = var.functions
  timeout_seconds      = var.settings.timeout_seconds
  disk_megabytes       = var.settings.disk_megabytes
  reserved_concurrency = var.settings.reserved_concurrency

  environment = {
    ALLUVIUM_LAKE                            = var.lake.url
    ALLUVIUM_COMMIT__LAG                     = var.lake.commit_lag
    ALLUVIUM_MAINTAIN__COMPACT_FILES         = tostring(var.settings.compact_files)
    ALLUVIUM_MAINTAIN__ROUND_BYTES           = tostring(var.settings.round_megabytes * 1024 * 1024)
    ALLUVIUM_MAINTAIN__MEMORY_BYTES          = tostring(var.settings.sort_megabytes * 1024 * 1024)
    ALLUVIUM_MAINTAIN__DEAD_LETTER_RETENTION = var.settings.dead_letter_retention
    ALLUVIUM_ERASURES__HOT_TABLE             = var.erased.hot_table.name
    ALLUVIUM_ERASURES__SET_ASIDE             = "s3://${var.erased.landing.name}/${local.set_aside}"
    ALLUVIUM_ERASURES__STREAM                = "${var.erased.stream_hours}h"
    ALLUVIUM_COUNTS__STREAM                  = try(var.counted.stream, null)
    ALLUVIUM_COUNTS__DELIVERY                = try(var.counted.delivery, null)
    ALLUVIUM_COUNTS__BUFFER                  = try("${var.counted.buffer_seconds}s", null)
  }

  statements = concat(local.counts, [
    {
      actions   = ["s3:ListBucket"]
      resources = [var.lake.bucket_arn]
    },
    {
      # Large files are put in parts, and what is not ended is given up.
      actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
      resources = ["${var.lake.folder_arn}/*"]
    },
    {
      actions   = ["s3:DeleteObject"]
      resources = local.deletable
    },
    {
      # An erasure takes rows out of chunks. It reads the whole table, for an owner's chunks cannot be told by their keys.
      actions   = ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]
      resources = [var.erased.hot_table.arn]
    },
    {
      # It is not closed while Firehose has set anything aside that arrived before.
      actions   = ["s3:ListBucket"]
      resources = [var.erased.landing.arn]
    },
    {
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.failed.arn]
    },
  ])
}

# Invocations by a schedule are asynchronous: Lambda keeps them and tries again by itself. What fails is tried once more, and is left
# to the next in the schedule; so that somebody sees it, it ends in a queue.

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name = module.function.name
  qualifier     = "live"

  maximum_retry_attempts = 1
  # Where one invocation at a time is reserved for it, others wait that long for theirs.
  maximum_event_age_in_seconds = 3600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failed.arn
    }
  }

  # The alias must be there.
  depends_on = [module.function]
}

resource "aws_sqs_queue" "failed" {
  name                      = "${var.prefix}-maintain-failed"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 14 * 24 * 3600
}

resource "aws_sqs_queue_policy" "only_tls" {
  queue_url = aws_sqs_queue.failed.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = aws_sqs_queue.failed.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_scheduler_schedule_group" "this" {
  name = "${var.prefix}-maintain"
}

resource "aws_iam_role" "schedules" {
  name        = "${var.prefix}-maintain-schedules"
  description = "Calls the function maintain by schedule."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      # EventBridge Scheduler User Guide, "Confused deputy prevention": the group, for a schedule of another would use our role.
      Condition = { StringEquals = { "aws:SourceArn" = aws_scheduler_schedule_group.this.arn } }
    }]
  })
}

resource "aws_iam_role_policy" "schedules" {
  name = "own"
  role = aws_iam_role.schedules.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["lambda:InvokeFunction"]
        Resource = [module.function.live_arn]
      },
      {
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = [aws_sqs_queue.failed.arn]
      },
    ]
  })
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:AWS encrypts schedules with a key of its own; these say which task, and nothing of anybody.
  for_each = local.scheduled

  name                = "${var.prefix}-${each.key}"
  description         = "Maintenance of the lake: ${each.key}."
  group_name          = aws_scheduler_schedule_group.this.name
  schedule_expression = each.value.every
  state               = var.settings.enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode                      = each.value.spread_minutes > 0 ? "FLEXIBLE" : "OFF"
    maximum_window_in_minutes = each.value.spread_minutes > 0 ? each.value.spread_minutes : null
  }

  target {
    arn      = module.function.live_arn
    role_arn = aws_iam_role.schedules.arn
    input    = jsonencode(each.value.input)

    # For a call that Lambda did not take. Later the next of the schedule does the same.
    retry_policy {
      maximum_event_age_in_seconds = 600
      maximum_retry_attempts       = 5
    }

    dead_letter_config {
      arn = aws_sqs_queue.failed.arn
    }
  }

  # A role that has no rights yet would fail the first call.
  depends_on = [aws_iam_role_policy.schedules]
}
