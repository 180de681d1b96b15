# Reports: what makes them is called, keeps what it makes where it may, and touches no other table.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix         = "alluvium-test"
  bucket_suffix  = "123456789012-eu-west-1"
  account        = { id = "123456789012", region = "eu-west-1", partition = "aws" }
  reports        = ["dead_letters_per_day", "events_per_hour"]
  report_minutes = 5
  report_days    = 400
  on_destroy     = "refuse"

  lake = {
    bucket_arn           = "arn:aws:s3:::lake"
    data_files_arn       = "arn:aws:s3:::lake/lake/*"
    results_bucket_arn   = "arn:aws:s3:::results"
    results_arn          = "arn:aws:s3:::results/api/*"
    results_url          = "s3://results/api"
    catalog_arns         = ["arn:aws:glue:eu-west-1:123456789012:catalog"]
    default_database_arn = "arn:aws:glue:eu-west-1:123456789012:database/default"
    database             = "alluvium_test"
    workgroup            = "alluvium-test-api"
    workgroup_arn        = "arn:aws:athena:eu-west-1:123456789012:workgroup/alluvium-test-api"
  }

  functions = {
    architecture     = "arm64"
    package_dir      = "no-such-folder"
    live_versions    = {}
    memory_megabytes = { report = 1024 }
    log_days         = 30
    environment      = {}
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/reports"
  }

  assert {
    condition = (
      aws_cloudwatch_event_rule.due.schedule_expression == "rate(5 minutes)"
      && aws_cloudwatch_event_rule.due.state == "ENABLED"
      && aws_cloudwatch_event_target.due.arn == module.report.live_arn
      && aws_lambda_permission.due.qualifier == "live"
    )
    error_message = "The schedule calls the function's alias live."
  }

  assert {
    condition = (
      aws_lambda_function_event_invoke_config.this.qualifier == "live"
      && aws_lambda_function_event_invoke_config.this.maximum_retry_attempts == 0
      && aws_lambda_function_event_invoke_config.this.maximum_event_age_in_seconds == 60
      && aws_cloudwatch_event_target.due.retry_policy[0].maximum_retry_attempts == 0
    )
    error_message = "A call that failed is not repeated, by EventBridge or by Lambda: the next one does what is left."
  }

  assert {
    condition = join(" ", flatten([
      for statement in jsondecode(module.report.policy).Statement : statement.Resource if contains(statement.Action, "s3:PutObject")
    ])) == "arn:aws:s3:::results/api/reports/* ${local.objects}"
    error_message = "The function writes the answers of its statements and the results of reports, and nothing in the lake."
  }

  assert {
    condition = alltrue([
      for resource in flatten([
        for statement in jsondecode(module.report.policy).Statement : statement.Resource if contains(statement.Action, "glue:CreateTable")
      ]) : !strcontains(resource, ":table/") || strcontains(resource, "/report_")
    ])
    error_message = "The function makes the tables of reports and no others."
  }

  assert {
    condition = (
      module.report.environment["ALLUVIUM_REPORTS__KEPT"] == "400d"
      && module.report.environment["ALLUVIUM_SQL__RESULTS"] == "s3://results/api/reports"
    )
    error_message = "The function forgets results when the bucket removes them."
  }
}

run "no_reports" {
  command = apply

  module {
    source = "./modules/reports"
  }

  variables {
    reports = []
  }

  assert {
    condition     = aws_cloudwatch_event_rule.due.state == "DISABLED"
    error_message = "Where there is no report nothing is called."
  }
}
