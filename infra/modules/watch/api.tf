# The HTTP API, as its callers see it.

locals {
  api_alarms = {
    "api-errors" = {
      section    = "api-errors"
      says       = "The API answers with 5xx: callers cannot send, or cannot read."
      namespace  = "AWS/ApiGateway"
      metric     = "5xx"
      dimensions = { ApiId = var.api_id }
      statistic  = "Sum"
      above      = var.thresholds.api_errors
      period     = 300
      of         = 3
      bad        = 2
    }

    "api-latency" = {
      section    = "api-latency"
      says       = "One request in a hundred takes longer than ${var.thresholds.api_milliseconds} ms."
      namespace  = "AWS/ApiGateway"
      metric     = "Latency"
      dimensions = { ApiId = var.api_id }
      percentile = "p99"
      above      = var.thresholds.api_milliseconds
      period     = 300
      of         = 3
    }

    "statements-failed" = {
      section    = "statements-failed"
      says       = "Athena fails statements of reads or reports for more than five minutes: what only the lake has cannot be read."
      namespace  = "Alluvium"
      metric     = "StatementsFailed"
      dimensions = local.own
      statistic  = "Sum"
      above      = 0
      period     = 300
      of         = 3
      bad        = 2
    }

    "reads-incomplete" = {
      section    = "reads-incomplete"
      says       = "Reads of records say `complete: false` for a quarter of an hour now."
      namespace  = "Alluvium"
      metric     = "IncompleteReads"
      dimensions = local.own
      statistic  = "Sum"
      above      = var.thresholds.incomplete_reads
      period     = 300
      of         = 3
    }
  }
}
