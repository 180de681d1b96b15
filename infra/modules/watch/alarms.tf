# Every alarm: made from one list, so that none is without actions or without a section of the runbook.
#
# An alarm of the lists beside this file has
#   section     the heading of docs/runbook.md that tells what to do
#   says        a sentence for whoever is woken
#   namespace, metric, dimensions, and `statistic` or `percentile`; or `math`: an expression over such metrics
#   above, below  the threshold
#   period      in seconds; `of` such periods are looked at, `bad` of them must be past the threshold
#   missing     what no data means, if not that nothing is wrong
#   when        false: not made here

locals {
  every_alarm = merge(
    local.delivery_alarms,
    local.commit_alarms,
    local.hot_alarms,
    local.api_alarms,
    local.direct_alarms,
    local.report_alarms,
    local.maintenance_alarms,
    local.upload_alarms,
    local.function_alarms,
    local.account_alarms,
  )

  alarms = {
    for name, alarm in local.every_alarm : name => alarm
    if var.alarms == "on" && try(alarm.when, true) && !contains(var.without, name)
  }

  # The dimensions of what the functions tell of themselves.
  own = { Stage = var.stage }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  # The slash keeps the alarms of `dev` apart from those of a stage `dev-2`, for policies and event patterns.
  alarm_name        = "${var.prefix}/${each.key}"
  alarm_description = "${each.value.says} What to do: docs/runbook.md#${each.value.section}"

  alarm_actions = [aws_sns_topic.alarms[0].arn]
  ok_actions    = [aws_sns_topic.alarms[0].arn]

  namespace          = try(each.value.namespace, null)
  metric_name        = try(each.value.metric, null)
  dimensions         = try(each.value.dimensions, null)
  statistic          = try(each.value.statistic, null)
  extended_statistic = try(each.value.percentile, null)
  period             = can(each.value.math) ? null : each.value.period

  evaluation_periods  = try(each.value.of, 1)
  datapoints_to_alarm = try(each.value.bad, each.value.of, 1)
  comparison_operator = can(each.value.above) ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = try(each.value.above, each.value.below)
  treat_missing_data  = try(each.value.missing, "notBreaching")

  dynamic "metric_query" {
    for_each = try(each.value.math.metrics, {})

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.statistic
        period      = each.value.period
      }
    }
  }

  dynamic "metric_query" {
    for_each = can(each.value.math) ? [each.value.math] : []

    content {
      id          = "result"
      expression  = metric_query.value.expression
      label       = metric_query.value.label
      return_data = true
    }
  }
}

output "alarms" {
  description = "Each alarm's ARN, by its name within the stage."
  value       = { for name, alarm in aws_cloudwatch_metric_alarm.this : name => alarm.arn }
}

output "topic_arn" {
  description = "The topic that every alarm tells; null without alarms."
  value       = one(aws_sns_topic.alarms[*].arn)
}
