# The hot index: does it take what is put, and give what is asked for? With a buffer in front of it, does that empty?

locals {
  hot_buffer = coalesce(var.hot_buffer, { name = "", dead_name = "" })

  hot_alarms = {
    "hot-throttled" = {
      section    = "hot-throttled"
      says       = "DynamoDB refuses chunks of the hot index for more than five minutes: the newest records are incomplete or late."
      namespace  = "Alluvium"
      metric     = "HotThrottled"
      dimensions = local.own
      statistic  = "Sum"
      above      = 0
      period     = 300
      of         = 3
      bad        = 2
    }

    "hot-reads-throttled" = {
      section = "hot-reads-throttled"
      says    = "DynamoDB refuses reads of the hot index for more than five minutes: the API answers slowly or not."
      above   = 0
      period  = 300
      of      = 3
      bad     = 2

      math = {
        # An alarm on DynamoDB's own metric would stay as it was for as long as nothing is refused: it always ignores missing data
        # ("Configuring how CloudWatch alarms treat missing data", CloudWatch user guide).
        expression = "FILL(refused, 0)"
        label      = "Reads refused"
        metrics = {
          refused = { namespace = "AWS/DynamoDB", metric = "ReadThrottleEvents", dimensions = { TableName = var.hot_table }, statistic = "Sum" }
        }
      }
    }

    "hot-behind" = {
      section    = "hot-behind"
      says       = "Chunks waited longer than ${var.thresholds.hot_behind_seconds} s in front of the hot index: reads say that they may be incomplete."
      when       = var.hot_buffer != null
      namespace  = "Alluvium"
      metric     = "HotBehindSeconds"
      dimensions = local.own
      statistic  = "Maximum"
      above      = var.thresholds.hot_behind_seconds
      period     = 300
      of         = 3
      bad        = 2
    }

    "hot-buffer-age" = {
      section    = "hot-behind"
      says       = "A chunk waits for more than ${var.thresholds.hot_behind_seconds} s in front of the hot index, and nothing takes it."
      when       = var.hot_buffer != null
      namespace  = "AWS/SQS"
      metric     = "ApproximateAgeOfOldestMessage"
      dimensions = { QueueName = local.hot_buffer.name }
      statistic  = "Maximum"
      above      = var.thresholds.hot_behind_seconds
      period     = 60
      of         = 5
      bad        = 3
    }

    "hot-buffer-dead" = {
      section    = "hot-buffer-dead"
      says       = "Chunks could not be put into the hot index: reads of the newest records miss them until they are in the lake."
      when       = var.hot_buffer != null
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = local.hot_buffer.dead_name }
      statistic  = "Maximum"
      above      = 0
      period     = 60
    }
  }
}
