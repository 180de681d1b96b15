# Who is told: a topic of the stack's own, encrypted with a key that CloudWatch's alarms may use.

locals {
  watched    = var.alarms == "on" ? 1 : 0
  alarm_arns = "arn:${var.account.partition}:cloudwatch:${var.account.region}:${var.account.id}:alarm:${var.prefix}/*"
}

# Alarms cannot publish to a topic under the key that AWS manages for SNS, whose policy nobody can change ("How do I configure a
# CloudWatch alarm with an encrypted SNS topic", AWS re:Post).
resource "aws_kms_key" "alarms" {
  count = local.watched

  description             = "Encrypts what ${var.prefix}'s alarms say on its way through SNS."
  enable_key_rotation     = true
  deletion_window_in_days = 7

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TheAccountDecides"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.account.partition}:iam::${var.account.id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "AlarmsEncrypt"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account.id } }
      },
    ]
  })
}

resource "aws_sns_topic" "alarms" {
  count = local.watched

  name              = "${var.prefix}-alarms"
  display_name      = "${var.prefix} alarms"
  kms_master_key_id = aws_kms_key.alarms[0].arn
}

resource "aws_sns_topic_policy" "alarms" {
  count = local.watched

  arn = aws_sns_topic.alarms[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OwnAlarmsPublish"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = var.account.id }
          ArnLike      = { "aws:SourceArn" = local.alarm_arns }
        }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms[0].arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.alarms == "on" ? var.emails : [])

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.key
}
