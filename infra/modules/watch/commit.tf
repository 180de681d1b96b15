# From the data files to the tables: is every batch committed, in time?

locals {
  commit_alarms = {
    "commits-dead" = {
      section    = "commits-dead"
      says       = "Commit messages failed five times: the events of their batches are stored and in no table, and the messages expire after 14 days."
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = var.commit_queue.dead_name }
      statistic  = "Maximum"
      above      = 0
      period     = 60
    }

    "commit-queue-age" = {
      section    = "commit-queue-age"
      says       = "A commit message waits for more than ${var.thresholds.commit_queue_seconds} s: SQL does not see the newest events."
      namespace  = "AWS/SQS"
      metric     = "ApproximateAgeOfOldestMessage"
      dimensions = { QueueName = var.commit_queue.name }
      statistic  = "Maximum"
      above      = var.thresholds.commit_queue_seconds
      period     = 60
      of         = 5
      bad        = 3
    }

    "commit-lag" = {
      section    = "commit-lag"
      says       = "What is committed now arrived more than ${var.thresholds.commit_lag_seconds} s beyond the buffer ago."
      namespace  = "Alluvium"
      metric     = "CommitLagSeconds"
      dimensions = local.own
      statistic  = "Maximum"
      above      = var.thresholds.commit_lag_seconds + var.buffer_seconds
      period     = 300
      of         = 3
      bad        = 2
    }

    "commit-failures" = {
      section    = "commit-failures"
      says       = "Commits fail for more than five minutes; their messages are had again."
      namespace  = "Alluvium"
      metric     = "CommitFailures"
      dimensions = local.own
      statistic  = "Sum"
      above      = 0
      period     = 300
      of         = 3
      bad        = 2
    }

    "commits-untold" = {
      section    = "commits-untold"
      says       = "Commits stand that the topic was not told of: subscribers do not know of their data, and will not be told again."
      when       = var.announces == "on"
      namespace  = "Alluvium"
      metric     = "CommitsUntold"
      dimensions = local.own
      statistic  = "Sum"
      above      = 0
      period     = 300
    }

    "commit-refused" = {
      section    = "commit-refused"
      says       = "The committer refused messages that waiting does not mend: their batches are in no table."
      namespace  = "Alluvium"
      metric     = "CommitRefused"
      dimensions = local.own
      statistic  = "Sum"
      above      = 0
      period     = 300
    }
  }
}
