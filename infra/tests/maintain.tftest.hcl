# Maintenance: each task by its schedule, what may be deleted, and that a failure is seen.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix = "alluvium-test"

  functions = {
    architecture     = "arm64"
    package_dir      = "no-such-folder"
    live_versions    = {}
    memory_megabytes = { maintain = 2048 }
    log_days         = 30
    environment      = {}
  }

  lake = {
    url        = "s3://bucket/lake"
    bucket_arn = "arn:aws:s3:::bucket"
    folder_arn = "arn:aws:s3:::bucket/lake"
    tables     = ["dead_letters", "ledger", "telemetry"]
    commit_lag = "1810s"
  }

  erased = {
    hot_table    = { name = "alluvium-test-hot", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/alluvium-test-hot" }
    landing      = { name = "landing", arn = "arn:aws:s3:::landing" }
    stream_hours = 24
  }

  counted = { stream = "alluvium-test-events", delivery = "alluvium-test-delivery", buffer_seconds = 5 }

  settings = {
    enabled               = true
    compact               = "rate(5 minutes)"
    compact_within        = "4m"
    retain                = "rate(1 hour)"
    vacuum                = "rate(1 day)"
    audit                 = "cron(45 3 * * ? *)"
    erasures              = "rate(1 day)"
    compact_files         = 16
    round_megabytes       = 256
    sort_megabytes        = 96
    disk_megabytes        = 4096
    timeout_seconds       = 900
    dead_letter_retention = null
    reserved_concurrency  = -1
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/maintain"
  }

  assert {
    condition = { for task, schedule in aws_scheduler_schedule.this : task => schedule.schedule_expression } == {
      audit    = "cron(45 3 * * ? *)"
      compact  = "rate(5 minutes)"
      erasures = "rate(1 day)"
      retain   = "rate(1 hour)"
      vacuum   = "rate(1 day)"
    }
    error_message = "Each task has its schedule."
  }

  assert {
    condition = alltrue([
      for task, schedule in aws_scheduler_schedule.this :
      jsondecode(schedule.target[0].input).task == task && endswith(schedule.target[0].arn, ":live") && schedule.state == "ENABLED"
    ])
    error_message = "A schedule asks the alias live for its own task."
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.this["compact"].target[0].input).within == "4m"
    error_message = "A compaction begins no round when the next compaction is about to come."
  }

  assert {
    condition = alltrue([
      for schedule in aws_scheduler_schedule.this :
      schedule.target[0].dead_letter_config[0].arn == aws_sqs_queue.failed.arn
      ]) && (
      aws_lambda_function_event_invoke_config.this.destination_config[0].on_failure[0].destination == aws_sqs_queue.failed.arn
      && aws_lambda_function_event_invoke_config.this.qualifier == "live"
    )
    error_message = "A call that was not taken, and an invocation that failed, end in the queue."
  }

  assert {
    condition     = aws_sqs_queue.failed.sqs_managed_sse_enabled && jsondecode(aws_sqs_queue_policy.only_tls.policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    error_message = "The queue is encrypted, and denies requests without TLS."
  }

  assert {
    condition = flatten([
      for statement in jsondecode(module.function.policy).Statement : statement.Resource if contains(statement.Action, "s3:DeleteObject")
      ]) == [
      "arn:aws:s3:::bucket/lake/dead_letters/*",
      "arn:aws:s3:::bucket/lake/ledger/*",
      "arn:aws:s3:::bucket/lake/telemetry/*",
      "arn:aws:s3:::bucket/lake/_index/*",
    ]
    error_message = "Nothing is deleted but in the tables and the object index: no commit message, no audit, no erasure."
  }

  assert {
    condition = [
      for statement in jsondecode(module.function.policy).Statement : statement.Action if anytrue([for action in statement.Action : strcontains(action, "Delete")])
    ] == [["s3:DeleteObject"], ["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]]
    error_message = "Deleting is a statement by itself, and no version of an object is deleted."
  }

  assert {
    condition = [
      for statement in jsondecode(module.function.policy).Statement : statement.Resource if strcontains(jsonencode(statement), "dynamodb:") || strcontains(jsonencode(statement), "landing")
    ] == [["arn:aws:dynamodb:eu-west-1:123456789012:table/alluvium-test-hot"], ["arn:aws:s3:::landing"]]
    error_message = "Erasures reach the hot index's table, and see what there is in the landing bucket, which they cannot read."
  }

  assert {
    condition     = jsondecode(aws_iam_role.schedules.assume_role_policy).Statement[0].Condition == { StringEquals = { "aws:SourceArn" = aws_scheduler_schedule_group.this.arn } }
    error_message = "Only schedules of this group take the role that calls the function."
  }

  assert {
    condition     = flatten(jsondecode(aws_iam_role_policy.schedules.policy).Statement[*].Action) == ["lambda:InvokeFunction", "sqs:SendMessage"]
    error_message = "Schedules call the function and say what they could not call, and nothing else."
  }

  assert {
    condition = module.function.environment == tomap({
      ALLUVIUM_LAKE                    = "s3://bucket/lake"
      ALLUVIUM_COMMIT__LAG             = "1810s"
      ALLUVIUM_MAINTAIN__COMPACT_FILES = "16"
      ALLUVIUM_MAINTAIN__ROUND_BYTES   = "268435456"
      ALLUVIUM_MAINTAIN__MEMORY_BYTES  = "100663296"
      ALLUVIUM_ERASURES__HOT_TABLE     = "alluvium-test-hot"
      ALLUVIUM_ERASURES__SET_ASIDE     = "s3://landing/processing-failed"
      ALLUVIUM_ERASURES__STREAM        = "24h"
      ALLUVIUM_COUNTS__STREAM          = "alluvium-test-events"
      ALLUVIUM_COUNTS__DELIVERY        = "alluvium-test-delivery"
      ALLUVIUM_COUNTS__BUFFER          = "5s"
    })
    error_message = "The function is told where the lake is, how long a message may wait, what bounds a round, what erasures reach, and whose counts an audit asks for."
  }
}

run "off" {
  command = apply

  module {
    source = "./modules/maintain"
  }

  variables {
    counted = null

    settings = {
      enabled               = false
      compact               = "rate(1 minute)"
      compact_within        = "30s"
      retain                = ""
      vacuum                = "rate(1 day)"
      audit                 = ""
      erasures              = ""
      compact_files         = 2
      round_megabytes       = 16
      sort_megabytes        = 16
      disk_megabytes        = 512
      timeout_seconds       = 120
      dead_letter_retention = "90d"
      reserved_concurrency  = 1
    }
  }

  assert {
    condition     = join(" ", [for task, schedule in aws_scheduler_schedule.this : "${task} ${schedule.state}"]) == "compact DISABLED vacuum DISABLED"
    error_message = "A task without a schedule has none, and what is not enabled calls nothing."
  }

  assert {
    condition     = module.function.environment["ALLUVIUM_MAINTAIN__DEAD_LETTER_RETENTION"] == "90d"
    error_message = "The function is told how long dead letters are kept."
  }

  assert {
    condition     = !strcontains(module.function.policy, "cloudwatch:") && !anytrue([for name in keys(module.function.environment) : strcontains(name, "COUNTS")])
    error_message = "Where no counts are asked for there is no right to."
  }
}
