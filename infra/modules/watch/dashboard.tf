# One page for whoever is woken at three: first what is red, then whether anything is lost, whether it is late, and where.

locals {
  # Three panels a row; each row answers one question. A panel's `limit` is where its alarm goes off.
  panels = [
    # Is anything lost?
    [
      {
        title = "Ledger difference: must be 0"
        metrics = [
          ["Alluvium", "LedgerDifference", "Stage", var.stage, { stat = "Maximum", label = "received and not accounted for" }],
          ["Alluvium", "LedgerDifference", "Stage", var.stage, { stat = "Minimum", label = "accounted for too often" }],
        ]
      },
      {
        title = "Set aside: must be 0"
        stat  = "Maximum"
        metrics = concat(
          [
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.set_aside.name, { label = "objects the transform never took" }],
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.commit_queue.dead_name, { label = "commit messages given up" }],
          ],
          [
            for queue in var.hot_buffer == null ? [] : [var.hot_buffer.dead_name] :
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { label = "hot chunks given up" }]
          ],
          [
            for queue in var.uploads == null ? [] : [var.uploads.dead_name] :
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { label = "files given up" }]
          ],
        )
      },
      {
        title = "Dead letters by reason"
        metrics = [
          [{ expression = "SEARCH('{Alluvium,Stage,Reason} MetricName=\"DeadLetters\" Stage=\"${var.stage}\"', 'Sum', 300)", id = "reasons" }],
        ]
      },
    ],
    # Is it late?
    [
      {
        title = "Arrival to stored (newest records), ms"
        limit = local.delivery_alarms["freshness"].above
        metrics = [
          ["Alluvium", "FreshnessMilliseconds", "Stage", var.stage, { stat = "Maximum", label = "slowest batch" }],
          ["Alluvium", "FreshnessMilliseconds", "Stage", var.stage, { stat = "p50", label = "half of the batches" }],
        ]
      },
      {
        title = "Arrival to committed (SQL), s"
        limit = local.commit_alarms["commit-lag"].above
        stat  = "Maximum"
        metrics = [
          ["Alluvium", "CommitLagSeconds", "Stage", var.stage, { label = "what is committed arrived" }],
          ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.commit_queue.name, { label = "oldest commit message" }],
        ]
      },
      {
        title = "Behind the stream, ms"
        limit = local.delivery_alarms["stream-behind"].above
        stat  = "Maximum"
        metrics = concat(
          [["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", var.stream_name, { label = "any reader" }]],
          [
            for name in var.delivery_name == null ? [] : [var.delivery_name] :
            ["AWS/Firehose", "KinesisMillisBehindLatest", "DeliveryStreamName", name, { label = "Firehose" }]
          ],
        )
      },
    ],
    # What comes in, and does it fit?
    [
      {
        title = "Events: in, stored, committed"
        stat  = "Sum"
        metrics = [
          ["AWS/Kinesis", "IncomingRecords", "StreamName", var.stream_name, { label = "records into the stream" }],
          ["Alluvium", "Events", "Stage", var.stage, { label = "events stored" }],
          ["Alluvium", "EventsCommitted", "Stage", var.stage, { label = "events committed" }],
        ]
      },
      {
        title = "Batch sizes"
        metrics = [
          ["Alluvium", "BatchRecords", "Stage", var.stage, { stat = "Average", label = "records, mean" }],
          ["Alluvium", "BatchRecords", "Stage", var.stage, { stat = "Maximum", label = "records, most" }],
          ["Alluvium", "BatchBytes", "Stage", var.stage, { stat = "Average", label = "bytes, mean", yAxis = "right" }],
          ["Alluvium", "BatchBytes", "Stage", var.stage, { stat = "Maximum", label = "bytes, most", yAxis = "right" }],
        ]
      },
      {
        title = "Refused: stream, hot index, functions"
        stat  = "Sum"
        metrics = concat(
          [
            ["AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", var.stream_name, { label = "records, by the stream" }],
            ["Alluvium", "HotThrottled", "Stage", var.stage, { label = "chunks, by DynamoDB" }],
            ["Alluvium", "HotLevelled", "Stage", var.stage, { label = "chunks put into the buffer" }],
            ["AWS/DynamoDB", "ReadThrottleEvents", "TableName", var.hot_table, { label = "reads, by DynamoDB" }],
          ],
          [
            for key, function in var.functions :
            ["AWS/Lambda", "Throttles", "FunctionName", function.name, { label = "runs of ${key}" }]
          ],
        )
      },
    ],
    # Which function is it?
    [
      {
        title   = "Failed invocations"
        stat    = "Sum"
        metrics = [for key, function in var.functions : ["AWS/Lambda", "Errors", "FunctionName", function.name, { label = key }]]
      },
      {
        title   = "Longest invocation, ms"
        stat    = "Maximum"
        metrics = [for key, function in var.functions : ["AWS/Lambda", "Duration", "FunctionName", function.name, { label = key }]]
      },
      {
        title = "What failed: storage, commits, statements, upkeep"
        stat  = "Sum"
        metrics = [
          ["Alluvium", "StorageFailures", "Stage", var.stage, { label = "calls to storage" }],
          ["Alluvium", "CommitFailures", "Stage", var.stage, { label = "commits" }],
          ["Alluvium", "CommitRefused", "Stage", var.stage, { label = "commit messages refused" }],
          ["Alluvium", "CommitsUntold", "Stage", var.stage, { label = "commits that nobody was told of" }],
          ["Alluvium", "StatementsFailed", "Stage", var.stage, { label = "statements, by Athena" }],
          ["Alluvium", "ReportsFailed", "Stage", var.stage, { label = "reports" }],
          ["Alluvium", "MaintenanceFailures", "Stage", var.stage, { label = "maintenance" }],
        ]
      },
    ],
    # What do callers see?
    [
      {
        title = "Requests"
        stat  = "Sum"
        metrics = concat(
          [
            ["AWS/ApiGateway", "Count", "ApiId", var.api_id, { label = "all" }],
            ["AWS/ApiGateway", "4xx", "ApiId", var.api_id, { label = "4xx" }],
            ["AWS/ApiGateway", "5xx", "ApiId", var.api_id, { label = "5xx" }],
          ],
          [
            for metric, label in { Count = "direct: all", "4XXError" = "direct: 4xx", "5XXError" = "direct: 5xx" } :
            ["AWS/ApiGateway", metric, "ApiName", local.direct.name, "Stage", local.direct.stage, { label = label }] if var.direct_api != null
          ],
        )
      },
      {
        title = "Latency of the API, ms"
        limit = local.api_alarms["api-latency"].above
        metrics = concat(
          [
            ["AWS/ApiGateway", "Latency", "ApiId", var.api_id, { stat = "p50", label = "p50" }],
            ["AWS/ApiGateway", "Latency", "ApiId", var.api_id, { stat = "p99", label = "p99" }],
            ["Alluvium", "AcknowledgeMilliseconds", "Stage", var.stage, { stat = "p99", label = "acknowledgement, p99" }],
            ["Alluvium", "ReadMilliseconds", "Stage", var.stage, { stat = "p99", label = "read, p99" }],
          ],
          [
            for metric, label in { Latency = "direct: p99", IntegrationLatency = "direct: Kinesis, p99" } :
            ["AWS/ApiGateway", metric, "ApiName", local.direct.name, "Stage", local.direct.stage, { stat = "p99", label = label }] if var.direct_api != null
          ],
        )
      },
      {
        title = "Reads that are incomplete, and the hot index behind"
        metrics = [
          ["Alluvium", "IncompleteReads", "Stage", var.stage, { stat = "Sum", label = "reads with complete: false" }],
          ["Alluvium", "HotBehindSeconds", "Stage", var.stage, { stat = "Maximum", label = "hot index behind, s", yAxis = "right" }],
        ]
      },
    ],
    # Is the lake kept well, and what does it all cost?
    [
      {
        title = "Audit and maintenance"
        metrics = [
          ["Alluvium", "AuditProblems", "Stage", var.stage, { stat = "Maximum", label = "problems, at the last audit" }],
          ["Alluvium", "AuditLedgerDifference", "Stage", var.stage, { stat = "Maximum", label = "ledger difference, at the last audit" }],
          ["Alluvium", "ReportsBehindSeconds", "Stage", var.stage, { stat = "Maximum", label = "reports behind, s" }],
          ["Alluvium", "ErasuresOpen", "Stage", var.stage, { stat = "Maximum", label = "open erasures" }],
          ["Alluvium", "CompactedBytes", "Stage", var.stage, { stat = "Sum", label = "compacted, bytes", yAxis = "right" }],
          ["Alluvium", "VacuumedBytes", "Stage", var.stage, { stat = "Sum", label = "vacuumed, bytes", yAxis = "right" }],
        ]
      },
      {
        title = "Cost: Lambda, GB-seconds"
        stat  = "Sum"
        metrics = concat(
          [
            for key, function in var.functions :
            [{ expression = "${replace(key, "-", "_")}_ms * ${function.memory_megabytes} / 1024 / 1000", label = key, id = replace(key, "-", "_") }]
          ],
          [
            for key, function in var.functions :
            ["AWS/Lambda", "Duration", "FunctionName", function.name, { id = "${replace(key, "-", "_")}_ms", visible = false }]
          ],
        )
      },
      {
        title = "Cost: what the services charge by"
        stat  = "Sum"
        metrics = concat(
          [
            ["AWS/Kinesis", "IncomingBytes", "StreamName", var.stream_name, { label = "Kinesis, bytes in", yAxis = "right" }],
            ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", var.hot_table, { label = "DynamoDB, write units" }],
            ["AWS/DynamoDB", "ConsumedReadCapacityUnits", "TableName", var.hot_table, { label = "DynamoDB, read units" }],
            ["AWS/SQS", "NumberOfMessagesSent", "QueueName", var.commit_queue.name, { label = "batches: five S3 puts each" }],
          ],
          [
            for kind in ["DML", "DDL"] :
            ["AWS/Athena", "ProcessedBytes", "WorkGroup", var.workgroup, "QueryState", "SUCCEEDED", "QueryType", kind, { label = "Athena, bytes scanned (${kind})", yAxis = "right" }]
          ],
        )
      },
    ],
  ]

  head = {
    type   = "text"
    x      = 0
    y      = 0
    width  = 24
    height = 3

    properties = {
      markdown = join("\n", [
        "# ${var.prefix}",
        "A red alarm names its section of `docs/runbook.md` in its description. Several at once: see to the uppermost row that is not as it should be.",
        "Rows: **lost?** · **late?** · **what comes in** · **which function** · **callers** · **upkeep and cost**. Gaps in a panel mean that nothing was measured, most often because nothing came.",
      ])
    }
  }

  alarm_panel = {
    type   = "alarm"
    x      = 0
    y      = 3
    width  = 24
    height = 6

    properties = {
      title  = "Alarms"
      sortBy = "stateUpdatedTimestamp"
      alarms = values(aws_cloudwatch_metric_alarm.this)[*].arn
    }
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.prefix

  lifecycle {
    # Looked at here, because there is a dashboard in any case.
    precondition {
      condition     = length(setsubtract(var.without, keys(local.every_alarm))) == 0
      error_message = "alarms_without names what is no alarm: ${join(", ", setsubtract(var.without, keys(local.every_alarm)))}. There are: ${join(", ", keys(local.every_alarm))}."
    }
  }

  dashboard_body = jsonencode({
    periodOverride = "inherit"
    widgets = concat(
      [local.head],
      [for panel in [local.alarm_panel] : panel if var.alarms == "on"],
      flatten([
        for row, panels in local.panels : [
          for column, panel in panels : {
            type   = "metric"
            x      = 8 * column
            y      = 9 + 6 * row
            width  = 8
            height = 6

            properties = {
              title   = panel.title
              view    = "timeSeries"
              region  = var.account.region
              stat    = try(panel.stat, "Average")
              period  = 300
              metrics = panel.metrics

              annotations = {
                horizontal = [for limit in [try(panel.limit, null)] : { label = "alarm", value = limit, color = "#d62728" } if limit != null]
              }
            }
          }
        ]
      ]),
    )
  })
}

output "dashboard" {
  description = "The dashboard's name."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "dashboard_body" {
  description = "What the dashboard shows, as JSON."
  value       = aws_cloudwatch_dashboard.this.dashboard_body
}
