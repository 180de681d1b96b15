# What every function can suffer from, and what all of them share.

locals {
  # Called by a schedule: seldom, so that each failure counts, and for as long as is let to it. A call that is throttled waits with Lambda: an hour
  # for maintain, where another may have its turn first, and then maintenance-dead tells of it; a minute for report, and when all of its calls
  # are lost reports-absent tells of that.
  scheduled = ["maintain", "report"]
  # Gets as much time as it may take, and goes on in the next invocation.
  unhurried = ["loader"]
  called    = { for key, function in var.functions : key => function if !contains(local.scheduled, key) }

  function_alarms = merge(
    {
      for key, function in var.functions : "${key}-errors" => {
        section    = "function-errors"
        says       = contains(keys(local.called), key) ? "The function `${key}` fails for more than five minutes." : "The function `${key}` failed within the last hour."
        namespace  = "AWS/Lambda"
        metric     = "Errors"
        dimensions = { FunctionName = function.name }
        statistic  = "Sum"
        above      = var.thresholds.function_errors
        period     = contains(keys(local.called), key) ? 300 : 3600
        of         = contains(keys(local.called), key) ? 3 : 1
        bad        = contains(keys(local.called), key) ? 2 : 1
      }
    },
    {
      for key, function in local.called : "${key}-throttles" => {
        section    = "function-throttles"
        says       = "Lambda refuses to run the function `${key}` for more than five minutes."
        namespace  = "AWS/Lambda"
        metric     = "Throttles"
        dimensions = { FunctionName = function.name }
        statistic  = "Sum"
        above      = 0
        period     = 300
        of         = 3
        bad        = 2
      }
    },
    {
      for key, function in local.called : "${key}-duration" => {
        section    = "function-duration"
        says       = "Invocations of the function `${key}` take more than ${var.thresholds.timeout_percent} % of the ${function.timeout_seconds} s after which they are cut off."
        namespace  = "AWS/Lambda"
        metric     = "Duration"
        dimensions = { FunctionName = function.name }
        statistic  = "Maximum"
        above      = var.thresholds.timeout_percent * function.timeout_seconds * 10
        period     = 300
        of         = 3
        bad        = 2
      } if !contains(local.unhurried, key)
    },
  )

  account_alarms = {
    "concurrency" = {
      section    = "concurrency"
      says       = "The account's functions, these and others, take more than 80 % of the ${var.thresholds.account_concurrency} executions that may run at once."
      namespace  = "AWS/Lambda"
      metric     = "ClaimedAccountConcurrency"
      dimensions = {}
      statistic  = "Maximum"
      above      = 0.8 * var.thresholds.account_concurrency
      period     = 60
      of         = 5
      bad        = 3
    }
  }
}
