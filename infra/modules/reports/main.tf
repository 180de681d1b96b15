# Reports: the bucket of their results, the function that makes them, and the schedule that calls it. What a report is: docs/reports.md.

locals {
  results_url = "s3://${module.bucket.name}/results"
  objects     = "${module.bucket.arn}/results/*"
  glue        = "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}"
  tables      = [for report in var.reports : "${local.glue}:table/${var.lake.database}/report_${report}"]
}

module "bucket" {
  source = "../bucket"

  name       = "${var.prefix}-reports-${var.bucket_suffix}"
  on_destroy = var.on_destroy
  # A result names the versions of its files, so that a file that is made anew changes none that somebody reads.
  undelete_days = 1
  expire_days   = { "results/" = var.report_days }
}

module "report" {
  source = "../function"

  prefix          = var.prefix
  name            = "report"
  description     = "Runs the reports whose windows are due, and keeps their results."
  settings        = var.functions
  timeout_seconds = 900

  environment = {
    ALLUVIUM_REPORTS__BUCKET = local.results_url
    ALLUVIUM_REPORTS__KEPT   = "${var.report_days}d"
    ALLUVIUM_SQL__DATABASE   = var.lake.database
    ALLUVIUM_SQL__WORKGROUP  = var.lake.workgroup
    ALLUVIUM_SQL__RESULTS    = "${var.lake.results_url}/reports"
  }

  statements = [
    {
      actions = [
        "athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution",
      ]
      resources = [var.lake.workgroup_arn]
    },
    {
      actions   = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartitions"]
      resources = concat(var.lake.catalog_arns, local.tables)
    },
    {
      actions   = ["glue:GetDatabase"]
      resources = [var.lake.default_database_arn]
    },
    {
      # A report's table, when it has its first result.
      actions   = ["glue:CreateTable"]
      resources = concat(["${local.glue}:catalog", "${local.glue}:database/${var.lake.database}"], local.tables)
    },
    {
      actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
      resources = [var.lake.bucket_arn, var.lake.results_bucket_arn, module.bucket.arn]
    },
    {
      actions   = ["s3:GetObject"]
      resources = [var.lake.data_files_arn]
    },
    {
      actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      resources = [replace(var.lake.results_arn, "/api/*", "/api/reports/*")]
    },
    {
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = [local.objects]
    },
  ]
}

resource "aws_cloudwatch_event_rule" "due" {
  name                = "${var.prefix}-reports"
  description         = "Looks whether a report is due."
  schedule_expression = var.report_minutes == 1 ? "rate(1 minute)" : "rate(${var.report_minutes} minutes)"
  state               = length(var.reports) > 0 ? "ENABLED" : "DISABLED"
}

resource "aws_cloudwatch_event_target" "due" {
  rule = aws_cloudwatch_event_rule.due.name
  arn  = module.report.live_arn

  # For a call that Lambda did not take. The next one does what this one did not.
  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 0
  }
}

# What Lambda has taken it keeps, and by itself would try twice more what failed, and for six hours what found no room: beside the calls that
# come anyway, and whose doing it is. A minute is the least that it can be told to keep one.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name = module.report.name
  qualifier     = "live"

  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 60

  # The alias must be there.
  depends_on = [module.report]
}

resource "aws_lambda_permission" "due" {
  statement_id  = "reports"
  action        = "lambda:InvokeFunction"
  function_name = module.report.name
  qualifier     = "live"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.due.arn
}

output "results" {
  description = "The results: the `bucket`, their root as `url`, its `bucket_arn` and `objects_arn` for a policy, and for how many `days` they are kept."
  value = {
    bucket      = module.bucket.name
    url         = local.results_url
    bucket_arn  = module.bucket.arn
    objects_arn = local.objects
    days        = var.report_days
  }
}

output "functions" {
  description = "The functions of this module, by name."
  value       = { report = module.report }
}
