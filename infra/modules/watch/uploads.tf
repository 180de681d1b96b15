# Files in: is what was put loaded, and in time?

locals {
  uploads = coalesce(var.uploads, { name = "", dead_name = "" })

  upload_alarms = {
    "uploads-dead" = {
      section    = "uploads-dead"
      says       = "A file was put and could not be loaded: its events are in no table, and it expires after 15 days."
      when       = var.uploads != null
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = local.uploads.dead_name }
      statistic  = "Maximum"
      above      = 0
      period     = 60
    }

    "uploads-queue-age" = {
      section    = "uploads-queue-age"
      says       = "A file has waited for more than ${var.thresholds.uploads_seconds} s, since it was put or since it was last loaded from."
      when       = var.uploads != null
      namespace  = "AWS/SQS"
      metric     = "ApproximateAgeOfOldestMessage"
      dimensions = { QueueName = local.uploads.name }
      statistic  = "Maximum"
      above      = var.thresholds.uploads_seconds
      period     = 300
      of         = 3
      bad        = 2
    }
  }
}
