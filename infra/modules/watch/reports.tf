# Reports: are they made, and in time?

locals {
  report_alarms = {
    "reports-failed" = {
      section    = "reports-failed"
      says       = "A report failed within the last hour, or its file is broken."
      when       = var.reports == "scheduled"
      namespace  = "Alluvium"
      metric     = "ReportsFailed"
      dimensions = local.own
      statistic  = "Sum"
      above      = 0
      period     = 3600
    }

    "reports-late" = {
      section    = "reports-late"
      says       = "A report's window was due more than ${var.thresholds.report_late_seconds} s ago and has no result."
      when       = var.reports == "scheduled"
      namespace  = "Alluvium"
      metric     = "ReportsBehindSeconds"
      dimensions = local.own
      statistic  = "Maximum"
      above      = var.thresholds.report_late_seconds
      period     = 3600
    }

    "reports-absent" = {
      section    = "reports-late"
      says       = "For two hours nobody looked whether a report is due."
      when       = var.reports == "scheduled"
      namespace  = "Alluvium"
      metric     = "ReportsBehindSeconds"
      dimensions = local.own
      statistic  = "SampleCount"
      below      = 1
      # report_minutes is 60 at the most.
      period  = 3600
      of      = 2
      missing = "breaching"
    }
  }
}
