# From the stream to the lake's data files: is every record taken, in time, and accounted for?

locals {
  # With a buffer of many minutes, nothing is called for many minutes.
  delivery_period = 300 * ceil(max(1, var.buffer_seconds / 300))

  delivery_alarms = {
    "ledger-deficit" = {
      section    = "ledger-difference"
      says       = "The transform took events of which its ledger does not say what became: they may be lost."
      namespace  = "Alluvium"
      metric     = "LedgerDifference"
      dimensions = local.own
      statistic  = "Maximum"
      above      = 0
      period     = 60
    }

    "ledger-surplus" = {
      section    = "ledger-difference"
      says       = "The transform's ledger has more events than came: some are counted, or written, twice."
      namespace  = "Alluvium"
      metric     = "LedgerDifference"
      dimensions = local.own
      statistic  = "Minimum"
      below      = 0
      period     = 60
    }

    "dead-letters" = {
      section = "dead-letters"
      says    = "More than ${var.thresholds.dead_letters_percent} % of the events became dead letters: a producer sends what no schema takes, or a schema changed."
      above   = var.thresholds.dead_letters_percent
      period  = 300
      of      = 3
      bad     = 2

      math = {
        # Two of three events in a quiet night are no outage.
        expression = "IF(dead > ${var.thresholds.dead_letters}, 100 * dead / events, 0)"
        label      = "Dead letters, % of events"
        metrics = {
          dead   = { namespace = "Alluvium", metric = "DeadLetters", dimensions = local.own, statistic = "Sum" }
          events = { namespace = "Alluvium", metric = "Events", dimensions = local.own, statistic = "Sum" }
        }
      }
    }

    "set-aside" = {
      section    = "set-aside"
      says       = "Records were put aside that the transform never took, or Firehose wrote what it should not: they are in no table."
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = aws_sqs_queue.set_aside.name }
      statistic  = "Maximum"
      above      = 0
      period     = 300
    }

    "freshness" = {
      section    = "freshness"
      says       = "Records wait longer than ${var.thresholds.freshness_seconds} s beyond the buffer before they are stored."
      namespace  = "Alluvium"
      metric     = "FreshnessMilliseconds"
      dimensions = local.own
      statistic  = "Maximum"
      above      = 1000 * (var.thresholds.freshness_seconds + var.buffer_seconds)
      period     = local.delivery_period
      of         = 3
      bad        = 2
    }

    "stream-unread" = {
      section = "stream-unread"
      says    = "Records come into the stream, and the transform takes next to none of them."
      above   = 0
      period  = local.delivery_period
      of      = 3

      math = {
        # A comparison takes a missing value for 0, so this holds when the transform says nothing at all.
        expression = "IF(incoming > 100 * taken, 1, 0)"
        label      = "1: records come and are not taken"
        metrics = {
          incoming = { namespace = "AWS/Kinesis", metric = "IncomingRecords", dimensions = { StreamName = var.stream_name }, statistic = "Sum" }
          taken    = { namespace = "Alluvium", metric = "Records", dimensions = local.own, statistic = "Sum" }
        }
      }
    }

    "stream-behind" = {
      section    = "stream-behind"
      says       = "Who reads the stream is more than ${var.thresholds.stream_behind_seconds} s behind; what is behind by its whole retention is lost."
      namespace  = "AWS/Kinesis"
      metric     = "GetRecords.IteratorAgeMilliseconds"
      dimensions = { StreamName = var.stream_name }
      statistic  = "Maximum"
      above      = 1000 * var.thresholds.stream_behind_seconds
      period     = 60
      of         = 5
    }

    "delivery-behind" = {
      section    = "stream-behind"
      says       = "Firehose is more than ${var.thresholds.stream_behind_seconds} s behind the stream; what is behind by its whole retention is lost."
      when       = var.delivery_name != null
      namespace  = "AWS/Firehose"
      metric     = "KinesisMillisBehindLatest"
      dimensions = { DeliveryStreamName = var.delivery_name }
      statistic  = "Maximum"
      above      = 1000 * var.thresholds.stream_behind_seconds
      period     = 60
      of         = 5
    }

    "stream-throttled" = {
      section    = "stream-throttled"
      says       = "The stream refuses records for a quarter of an hour now: more comes than its shards take."
      namespace  = "AWS/Kinesis"
      metric     = "WriteProvisionedThroughputExceeded"
      dimensions = { StreamName = var.stream_name }
      statistic  = "Sum"
      above      = var.thresholds.stream_refused
      period     = 300
      of         = 3
    }

    "delivery-failures" = {
      section    = "delivery-failures"
      says       = "Firehose cannot write to the landing bucket: what the transform does not take has nowhere to go."
      when       = var.delivery_name != null
      namespace  = "AWS/Firehose"
      metric     = "DeliveryToS3.Success"
      dimensions = { DeliveryStreamName = var.delivery_name }
      statistic  = "Minimum"
      below      = 1
      period     = 300
      of         = 3
      bad        = 2
    }

    "source-backup" = {
      section    = "source-backup"
      says       = "Firehose cannot write the source backup: the way back from a fault in the transform has a gap."
      when       = var.delivery_name != null && var.source_backup == "kept"
      namespace  = "AWS/Firehose"
      metric     = "BackupToS3.Success"
      dimensions = { DeliveryStreamName = var.delivery_name }
      statistic  = "Minimum"
      below      = 1
      period     = 300
      of         = 3
      bad        = 2
    }

    "storage-failures" = {
      section    = "storage-failures"
      says       = "The transform's calls to S3, DynamoDB or SQS fail again and again; it tries them once more each time."
      namespace  = "Alluvium"
      metric     = "StorageFailures"
      dimensions = local.own
      statistic  = "Sum"
      above      = var.thresholds.storage_failures
      period     = 300
      of         = 3
      bad        = 2
    }
  }
}
