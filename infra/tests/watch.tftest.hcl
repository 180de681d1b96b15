# What is watched: every alarm tells somebody and says what to do, only those who should can use the topic, the dashboard shows what is
# there. That each alarm fires is held by test_alarms.py, which reads what `everything` and `stack` make.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix         = "alluvium-test"
  stage          = "test"
  account        = { id = "123456789012", region = "eu-west-1", partition = "aws" }
  stream_name    = "alluvium-test-events"
  delivery_name  = "alluvium-test-delivery"
  source_backup  = "kept"
  buffer_seconds = 5
  landing        = "alluvium-test-landing"
  commit_queue   = { name = "alluvium-test-commits", dead_name = "alluvium-test-commits-dead" }
  hot_table      = "alluvium-test-hot"
  hot_buffer     = { name = "alluvium-test-hot-buffer", dead_name = "alluvium-test-hot-buffer-dead" }
  uploads        = { name = "alluvium-test-uploads", dead_name = "alluvium-test-uploads-dead" }
  api_id         = "api"

  maintenance_dead = "alluvium-test-maintain-failed"
  announces        = "on"
  reports          = "scheduled"
  direct_api       = { name = "alluvium-test-direct", stage = "direct" }
  workgroup        = "alluvium-test"
  emails           = ["night-shift@example.org", "lead@example.org"]
  bus_arn          = "arn:aws:events:eu-west-1:210987654321:event-bus/operations"

  functions = {
    authorizer = { name = "alluvium-test-authorizer", timeout_seconds = 10, memory_megabytes = 128 }
    commit     = { name = "alluvium-test-commit", timeout_seconds = 60, memory_megabytes = 1024 }
    gateway    = { name = "alluvium-test-gateway", timeout_seconds = 29, memory_megabytes = 256 }
    hot-writer = { name = "alluvium-test-hot-writer", timeout_seconds = 60, memory_megabytes = 256 }
    loader     = { name = "alluvium-test-loader", timeout_seconds = 900, memory_megabytes = 1024 }
    maintain   = { name = "alluvium-test-maintain", timeout_seconds = 900, memory_megabytes = 2048 }
    report     = { name = "alluvium-test-report", timeout_seconds = 900, memory_megabytes = 1024 }
    query      = { name = "alluvium-test-query", timeout_seconds = 29, memory_megabytes = 512 }
    transform  = { name = "alluvium-test-transform", timeout_seconds = 300, memory_megabytes = 512 }
  }

  thresholds = {
    account_concurrency   = 1000
    api_errors            = 5
    api_milliseconds      = 5000
    commit_lag_seconds    = 600
    commit_queue_seconds  = 300
    dead_letters          = 10
    dead_letters_percent  = 5
    freshness_seconds     = 300
    function_errors       = 0
    hot_behind_seconds    = 300
    incomplete_reads      = 0
    report_late_seconds   = 3600
    storage_failures      = 10
    stream_behind_seconds = 300
    stream_refused        = 0
    timeout_percent       = 80
    uploads_seconds       = 3600
  }
}

run "everything" {
  command = apply

  module {
    source = "./modules/watch"
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) :
      alarm.alarm_actions == toset([output.topic_arn]) && alarm.ok_actions == toset([output.topic_arn]) && alarm.actions_enabled != false
    ])
    error_message = "Every alarm tells the topic when it goes off and when it is over."
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) :
      can(regex("^[A-Z][^#]{20,}[.] What to do: docs/runbook[.]md#[a-z-]+$", alarm.alarm_description))
    ])
    error_message = "Every alarm says what is wrong, and names its section of the runbook."
  }

  assert {
    condition     = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_name == "alluvium-test/${name}"])
    error_message = "An alarm's name is its stack's and its own, and does not change with what it watches."
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) :
      contains(["notBreaching", "breaching", "ignore"], alarm.treat_missing_data)
    ])
    error_message = "No alarm leaves open what missing data means."
  }

  assert {
    condition = alltrue([
      for alarm in values(aws_cloudwatch_metric_alarm.this) :
      coalesce(alarm.period, try([for query in alarm.metric_query : query.metric[0].period if length(query.metric) > 0][0], 0)) * alarm.evaluation_periods
      <= (coalesce(alarm.period, 60) >= 3600 ? 604800 : 86400)
    ])
    error_message = "An alarm looks back further than CloudWatch does: a day, or seven with periods of an hour."
  }

  assert {
    condition     = aws_sns_topic.alarms[0].kms_master_key_id == aws_kms_key.alarms[0].arn && aws_kms_key.alarms[0].enable_key_rotation
    error_message = "The topic is encrypted with a key of its own, which changes each year."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_kms_key.alarms[0].policy).Statement : statement.Condition
      if statement.Principal == { Service = "cloudwatch.amazonaws.com" }
      && statement.Action == ["kms:Decrypt", "kms:GenerateDataKey*"]
    ] == [{ StringEquals = { "aws:SourceAccount" = "123456789012" } }]
    error_message = "Alarms of this account may use the key, or no mail would ever come."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement : statement.Condition
      if statement.Effect == "Allow"
    ] == [{ StringEquals = { "aws:SourceAccount" = "123456789012" }, ArnLike = { "aws:SourceArn" = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:alluvium-test/*" } }]
    error_message = "Only this stack's alarms publish to the topic."
  }

  assert {
    condition = alltrue([
      for policy in [aws_sns_topic_policy.alarms[0].policy, aws_sqs_queue_policy.set_aside.policy] : anytrue([
        for statement in jsondecode(policy).Statement :
        statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"
      ])
    ])
    error_message = "Topic and queue deny requests without TLS."
  }

  assert {
    condition     = keys(aws_sns_topic_subscription.email) == ["lead@example.org", "night-shift@example.org"]
    error_message = "Everybody named is told."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.set_aside.event_pattern).detail == {
      bucket = { name = ["alluvium-test-landing"] }
      object = { key = [{ prefix = "processing-failed/" }, { prefix = "unexpected/" }] }
    }
    error_message = "What is told of are the objects that are put aside, and no backup."
  }

  assert {
    condition = (
      aws_sqs_queue.set_aside.sqs_managed_sse_enabled && aws_sqs_queue.set_aside.message_retention_seconds == 1209600
      && aws_cloudwatch_event_target.set_aside.arn == aws_sqs_queue.set_aside.arn && aws_s3_bucket_notification.landing.eventbridge
    )
    error_message = "Each object that is put aside leaves a note in an encrypted queue, for the 14 days that SQS keeps anything at most."
  }

  assert {
    condition = [
      for statement in jsondecode(aws_sqs_queue_policy.set_aside.policy).Statement : statement.Condition if statement.Effect == "Allow"
    ] == [{ ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.set_aside.arn } }]
    error_message = "Only that rule puts notes into the queue."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.alarms[0].event_pattern) == {
      source      = ["aws.cloudwatch"]
      detail-type = ["CloudWatch Alarm State Change"]
      resources   = [{ prefix = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:alluvium-test/" }]
    }
    error_message = "This stack's alarms, and no other's, are sent to the bus: a stage `test-2` begins alike."
  }

  assert {
    condition = (
      aws_cloudwatch_event_target.bus[0].arn == var.bus_arn
      && jsondecode(aws_iam_role_policy.bus[0].policy).Statement[*].Action == [["events:PutEvents"]]
      && jsondecode(aws_iam_role_policy.bus[0].policy).Statement[*].Resource == [[var.bus_arn]]
    )
    error_message = "They are sent to the bus named, by a role that may do nothing else."
  }

  assert {
    condition = toset(flatten([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.properties.alarms if widget.type == "alarm"
    ])) == toset(values(output.alarms))
    error_message = "The dashboard shows every alarm."
  }

  assert {
    condition = alltrue([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets :
      widget.x + widget.width <= 24 && try(length(widget.properties.metrics), 1) > 0
    ])
    error_message = "Panels lie on the dashboard's 24 columns, and none is empty."
  }

  assert {
    condition = length(distinct([
      for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : "${widget.x} ${widget.y}"
    ])) == length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets)
    error_message = "No panel lies on another."
  }
}

run "stack" {
  command = apply

  variables {
    stage          = "test"
    secret_version = 0
  }
}

run "least" {
  command = apply

  module {
    source = "./modules/watch"
  }

  variables {
    delivery_name    = null
    source_backup    = "none"
    hot_buffer       = null
    uploads          = null
    maintenance_dead = null
    bus_arn          = null
    without          = ["concurrency"]
    functions        = { transform = { name = "alluvium-test-transform", timeout_seconds = 300, memory_megabytes = 512 } }
  }

  assert {
    condition = length(setintersection(keys(output.alarms), [
      "delivery-behind", "delivery-failures", "source-backup", "hot-behind", "hot-buffer-age", "hot-buffer-dead",
      "audit-problems", "audit-absent", "maintenance-failures", "maintenance-dead", "concurrency",
      "uploads-dead", "uploads-queue-age",
    ])) == 0
    error_message = "What is not there is not watched, nor what was left out by name."
  }

  assert {
    condition     = contains(keys(output.alarms), "ledger-deficit") && contains(keys(output.alarms), "stream-behind")
    error_message = "What is always there is watched."
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.alarms) == 0
    error_message = "Without a bus nothing is sent on."
  }
}

run "audits_now_and_then" {
  command = apply

  module {
    source = "./modules/watch"
  }

  variables {
    audits = "seldom"
  }

  assert {
    condition     = !contains(keys(output.alarms), "audit-absent") && contains(keys(output.alarms), "audit-problems")
    error_message = "Where no audit is due each day, none is missed; what one finds is told."
  }
}

run "a_long_buffer" {
  command = apply

  module {
    source = "./modules/watch"
  }

  variables {
    buffer_seconds = 900
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.this["freshness"].period == 900
      && aws_cloudwatch_metric_alarm.this["freshness"].threshold == 1200000
      && aws_cloudwatch_metric_alarm.this["commit-lag"].threshold == 1500
    )
    error_message = "What waits in the buffer is not late."
  }
}

run "off" {
  command = apply

  module {
    source = "./modules/watch"
  }

  variables {
    alarms = "off"
  }

  assert {
    condition = (
      length(output.alarms) == 0 && output.topic_arn == null && length(aws_kms_key.alarms) == 0
      && length(aws_sns_topic_subscription.email) == 0 && length(aws_cloudwatch_event_rule.alarms) == 0
    )
    error_message = "alarms = off leaves nothing that costs or wakes anybody."
  }

  assert {
    condition     = toset(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[*].type) == toset(["text", "metric"])
    error_message = "The dashboard is there without alarms too."
  }
}

run "a_name_that_is_none" {
  command = plan

  module {
    source = "./modules/watch"
  }

  variables {
    without = ["stream-throtled"]
  }

  expect_failures = [
    aws_cloudwatch_dashboard.this,
  ]
}
