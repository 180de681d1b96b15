# Alarms of many stages and accounts in one place: every change of state goes to an event bus elsewhere, if one is named.

locals {
  sent_on = var.alarms == "on" && var.bus_arn != null ? 1 : 0
}

resource "aws_cloudwatch_event_rule" "alarms" {
  count = local.sent_on

  name        = "${var.prefix}-alarms"
  description = "The alarms of ${var.prefix} that change their state."

  event_pattern = jsonencode({
    source        = ["aws.cloudwatch"]
    "detail-type" = ["CloudWatch Alarm State Change"]
    resources     = [{ prefix = trimsuffix(local.alarm_arns, "*") }]
  })
}

resource "aws_cloudwatch_event_target" "bus" {
  count = local.sent_on

  rule     = aws_cloudwatch_event_rule.alarms[0].name
  arn      = var.bus_arn
  role_arn = aws_iam_role.bus[0].arn
}

resource "aws_iam_role" "bus" {
  count = local.sent_on

  name        = "${var.prefix}-alarm-bus"
  description = "Sends the changes of alarms to the bus that gathers them."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "events.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
    }]
  })
}

resource "aws_iam_role_policy" "bus" {
  count = local.sent_on

  name = "own"
  role = aws_iam_role.bus[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["events:PutEvents"]
      Resource = [var.bus_arn]
    }]
  })
}
