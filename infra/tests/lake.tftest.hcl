# The lake: what waits to be committed is kept, what a mistake in SQL costs is bounded, Athena sees the tables as Delta.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix                 = "alluvium-test"
  bucket_suffix          = "123456789012-eu-west-1"
  account                = { id = "123456789012", region = "eu-west-1", partition = "aws" }
  datasets               = { telemetry = ["battery", "firmware", "lat", "lon", "status", "unit", "value"] }
  commit_seconds         = 2
  commit_timeout_seconds = 60
  checkpoint_every       = 100
  announce_commits       = false
  hot_table              = { name = "hot", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/hot" }
  on_destroy             = "refuse"
  undelete_days          = 7
  sql_scan_megabytes     = 50
  sql_result_days        = 1

  functions = {
    architecture     = "arm64"
    package_dir      = "no-such-folder"
    live_versions    = {}
    memory_megabytes = { commit = 1024 }
    log_days         = 30
    environment      = {}
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/lake"
  }

  assert {
    condition     = aws_sqs_queue.commits.sqs_managed_sse_enabled && aws_sqs_queue.commits_dead.sqs_managed_sse_enabled
    error_message = "Messages are encrypted."
  }

  assert {
    condition = (
      aws_sqs_queue.commits.message_retention_seconds == 1209600
      && aws_sqs_queue.commits_dead.message_retention_seconds == 1209600
    )
    error_message = "Commit messages are kept for the 14 days that SQS keeps anything at most (IN-1)."
  }

  assert {
    condition = (
      jsondecode(aws_sqs_queue.commits.redrive_policy).maxReceiveCount == 5
      && jsondecode(aws_sqs_queue.commits.redrive_policy).deadLetterTargetArn == aws_sqs_queue.commits_dead.arn
    )
    error_message = "A message that failed five times ends in the dead-letter queue."
  }

  assert {
    condition = (
      jsondecode(aws_sqs_queue_redrive_allow_policy.commits_dead.redrive_allow_policy).redrivePermission == "byQueue"
      && jsondecode(aws_sqs_queue_redrive_allow_policy.commits_dead.redrive_allow_policy).sourceQueueArns == [aws_sqs_queue.commits.arn]
    )
    error_message = "Only the commit queue has this dead-letter queue."
  }

  assert {
    condition = alltrue([
      for policy in aws_sqs_queue_policy.only_tls :
      jsondecode(policy.policy).Statement[0].Effect == "Deny"
      && jsondecode(policy.policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } }
    ]) && length(aws_sqs_queue_policy.only_tls) == 2
    error_message = "Both queues deny requests without TLS."
  }

  assert {
    condition     = aws_sqs_queue.commits.visibility_timeout_seconds >= 6 * 60 + 2
    error_message = "A message stays hidden for six times the function's time-out and the window."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.commits.scaling_config[0].maximum_concurrency == 2
    error_message = "At most two commit functions run at a time."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.commits.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "Of a batch only the messages that failed come again."
  }

  assert {
    condition     = endswith(aws_lambda_event_source_mapping.commits.function_name, ":live")
    error_message = "The queue calls the alias live."
  }

  assert {
    condition = [
      for statement in jsondecode(module.commit.policy).Statement : statement.Resource
      if anytrue([for action in statement.Action : startswith(action, "dynamodb:")])
    ] == [[var.hot_table.arn]] && module.commit.environment["ALLUVIUM_HOT__TABLE"] == "hot"
    error_message = "The commit function is told of the hot index, and reaches no other table."
  }

  assert {
    condition = [
      for action in flatten(jsondecode(module.commit.policy).Statement[*].Action) : action if startswith(action, "dynamodb:")
    ] == ["dynamodb:PutItem"]
    error_message = "The commit function sets marks in the hot index and does nothing else there."
  }

  assert {
    condition     = module.bucket.expire_days == tomap({ "lake/_commits/" = 29, "lake/_hot/" = 29 })
    error_message = "Of the lake only commit messages and chunks that wait expire by age."
  }

  assert {
    condition = module.bucket.expire_days["lake/_commits/"] * 24 * 3600 > (
      aws_sqs_queue.commits.message_retention_seconds + aws_sqs_queue.commits_dead.message_retention_seconds
    )
    error_message = "A commit message outlives every message of the queues that can name it (IN-1)."
  }

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].bytes_scanned_cutoff_per_query == 52428800
    error_message = "A statement that scans more than the limit is cancelled."
  }

  assert {
    condition = (
      aws_athena_workgroup.this.configuration[0].enforce_workgroup_configuration
      && aws_athena_workgroup.this.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == "SSE_S3"
      && aws_athena_workgroup.this.configuration[0].result_configuration[0].output_location == "s3://${module.results.name}/sql/"
    )
    error_message = "Results are encrypted, in the bucket of their own, whatever a client asks for."
  }

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].engine_version[0].selected_engine_version == "Athena engine version 3"
    error_message = "The engine is the one that reads Delta tables."
  }

  assert {
    condition = (
      !aws_athena_workgroup.api.configuration[0].enforce_workgroup_configuration
      && aws_athena_workgroup.api.configuration[0].bytes_scanned_cutoff_per_query == 52428800
      && output.api.results_url == "s3://${module.results.name}/api"
    )
    error_message = "The API says of each statement where its results lie, apart from analysts', and is held to the same limit."
  }

  assert {
    condition     = join(" ", sort(keys(aws_glue_catalog_table.this))) == "dead_letters_raw ledger telemetry_raw"
    error_message = "Each dataset, the dead letters and the ledger are tables."
  }

  assert {
    condition = alltrue([
      for table in aws_glue_catalog_table.this :
      table.table_type == "EXTERNAL_TABLE" && table.parameters["table_type"] == "DELTA"
    ]) && aws_glue_catalog_table.this["telemetry_raw"].storage_descriptor[0].location == "${local.lake_url}/telemetry/"
    error_message = "Tables are registered as Delta, at their folder in the lake."
  }

  assert {
    condition     = aws_athena_named_query.view["telemetry"].query == file("../testdata/sql/view_telemetry.sql")
    error_message = "A view is the one that tests/interop/test_athena.py holds to Athena's dialect: the common columns, the dataset's own, extra; each event key once, its first arrival."
  }

  assert {
    condition     = length(aws_sns_topic.commits) == 0 && !strcontains(module.commit.policy, "sns:")
    error_message = "Without announce_commits nobody is told of commits."
  }
}

run "commits_told" {
  command = apply

  module {
    source = "./modules/lake"
  }

  variables {
    announce_commits = true
  }

  assert {
    condition     = aws_sns_topic.commits[0].kms_master_key_id == "alias/aws/sns"
    error_message = "The topic is encrypted."
  }

  assert {
    condition = [
      for statement in jsondecode(module.commit.policy).Statement : statement.Resource if contains(statement.Action, "sns:Publish")
    ] == [[aws_sns_topic.commits[0].arn]]
    error_message = "The commit function publishes to this topic alone."
  }

  assert {
    condition = (
      module.commit.environment["ALLUVIUM_COMMIT__TOPIC"] == aws_sns_topic.commits[0].arn
      && output.commit_topic_arn == aws_sns_topic.commits[0].arn
    )
    error_message = "The function and who subscribes know the topic."
  }
}
