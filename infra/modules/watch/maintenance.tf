# Maintenance and audits, where the function `maintain` does them.

locals {
  maintained = contains(keys(var.functions), "maintain")

  maintenance_alarms = {
    "audit-problems" = {
      section    = "audit-problems"
      says       = "The last audit found what does not balance: records may be lost, or data files gone."
      when       = local.maintained
      namespace  = "Alluvium"
      metric     = "AuditProblems"
      dimensions = local.own
      statistic  = "Maximum"
      above      = 0
      period     = 3600
      # Audits are hours apart. What one found holds until the next.
      missing = "ignore"
    }

    "audit-absent" = {
      section    = "audit-absent"
      says       = "No audit ended for 26 hours: whether anything is lost is not known."
      when       = local.maintained && var.audits == "daily"
      namespace  = "Alluvium"
      metric     = "AuditProblems"
      dimensions = local.own
      statistic  = "SampleCount"
      below      = 1
      period     = 3600
      of         = 26
      missing    = "breaching"
    }

    "erasure-overdue" = {
      section    = "erasure-overdue"
      says       = "An erasure is open for two days longer than was promised: something of the owner may still come in."
      when       = local.maintained
      namespace  = "Alluvium"
      metric     = "ErasureOverdueSeconds"
      dimensions = local.own
      statistic  = "Maximum"
      # Vacuum and the look at erasures come once a day each, and the one waits for the other.
      above  = 2 * 24 * 3600
      period = 3600
      # Looks are a day apart. What one found holds until the next.
      missing = "ignore"
    }

    "maintenance-failures" = {
      section    = "maintenance-failures"
      says       = "Compaction, retention, vacuum, an audit or an erasure failed within the last hour."
      when       = local.maintained
      namespace  = "Alluvium"
      metric     = "MaintenanceFailures"
      dimensions = local.own
      statistic  = "Sum"
      above      = 0
      period     = 3600
    }

    "maintenance-dead" = {
      section    = "maintenance-failures"
      says       = "Invocations of `maintain` were given up: they failed, or could not begin in time."
      when       = var.maintenance_dead != null
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = var.maintenance_dead }
      statistic  = "Maximum"
      above      = 0
      period     = 300
    }
  }
}
