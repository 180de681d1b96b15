# The direct route, where there is one: a REST API, whose metrics are named otherwise than an HTTP API's. Amazon API Gateway Developer Guide,
# "Amazon API Gateway dimensions and metrics". It has no metric of its own for what the integration failed at: that is answered with 5xx.

locals {
  direct            = coalesce(var.direct_api, { name = "", stage = "" })
  direct_dimensions = { ApiName = local.direct.name, Stage = local.direct.stage }

  direct_alarms = {
    "direct-errors" = {
      section    = "direct-errors"
      says       = "The direct route answers with 5xx: the stream does not take what is sent there, or the authorizer fails."
      when       = var.direct_api != null
      namespace  = "AWS/ApiGateway"
      metric     = "5XXError"
      dimensions = local.direct_dimensions
      statistic  = "Sum"
      above      = var.thresholds.api_errors
      period     = 300
      of         = 3
      bad        = 2
    }

    "direct-latency" = {
      section    = "direct-latency"
      says       = "On the direct route one request in a hundred takes longer than ${var.thresholds.api_milliseconds} ms."
      when       = var.direct_api != null
      namespace  = "AWS/ApiGateway"
      metric     = "Latency"
      dimensions = local.direct_dimensions
      percentile = "p99"
      above      = var.thresholds.api_milliseconds
      period     = 300
      of         = 3
    }
  }
}
