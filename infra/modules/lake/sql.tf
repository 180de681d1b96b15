# What Athena needs: the tables by their location, views that show each event once, a limit to what a mistake costs.

locals {
  database = replace(var.prefix, "-", "_")

  # The table itself is `<dataset>_raw`, as on one machine; `<dataset>` is the view.
  raw_tables = { for dataset in concat(keys(var.datasets), ["dead_letters"]) : "${dataset}_raw" => dataset }
  tables_all = merge(local.raw_tables, { ledger = "ledger" })

  common_columns = ["event_id", "source", "type", "event_time", "event_date", "ingest_time", "owner"]
  dead_letter_columns = [
    "dataset", "reason", "detail", "pointer", "record", "index", "original", "original_bytes", "redriven_at",
  ]

  view_columns = merge(
    { for dataset, columns in var.datasets : dataset => concat(local.common_columns, columns, ["extra"]) },
    { dead_letters = concat(local.common_columns, local.dead_letter_columns) },
  )
}

resource "aws_glue_catalog_database" "this" {
  name        = local.database
  description = "The tables of ${var.prefix}: Delta, written by its commit function alone."
}

resource "aws_glue_catalog_table" "this" {
  for_each = local.tables_all

  name          = each.key
  database_name = aws_glue_catalog_database.this.name
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    EXTERNAL   = "TRUE"
    table_type = "DELTA"
  }

  storage_descriptor {
    location = "${local.lake_url}/${each.value}/"
  }

  lifecycle {
    # Athena reads the columns in the table's own log, and may note here what it found.
    ignore_changes = [parameters, storage_descriptor[0].columns]
  }
}

resource "aws_athena_workgroup" "this" {
  name        = var.prefix
  description = "Statements of analysts over the tables of ${var.prefix}."
  # Its history goes with it; the results are in a bucket of their own.
  force_destroy = true

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.sql_scan_megabytes * 1024 * 1024

    engine_version {
      # The one that reads Delta tables.
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location = "s3://${module.results.name}/sql/"

      encryption_configuration {
        encryption_option = "SSE_S3"
      }
    }
  }
}

# What the API runs. It keeps results apart by owner, so it says of each statement where they lie; its role can write nowhere else.
resource "aws_athena_workgroup" "api" {
  #checkov:skip=CKV_AWS_82:The function puts each owner's results under a prefix of its own, and asks for encryption; the bucket encrypts in any case.
  name          = "${var.prefix}-api"
  description   = "Statements of ${var.prefix}'s API, and its reads of records from the lake."
  force_destroy = true

  configuration {
    enforce_workgroup_configuration    = false
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.sql_scan_megabytes * 1024 * 1024

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location = "s3://${module.results.name}/api/nobody/"

      encryption_configuration {
        encryption_option = "SSE_S3"
      }
    }
  }
}

# Terraform has no resource for a view. These are kept with the workgroup, to be run once the tables exist: docs/aws.md.
resource "aws_athena_named_query" "view" {
  for_each = local.view_columns

  name        = "view-${each.key}"
  description = "Makes the view ${each.key}, which shows each event of ${each.key}_raw once."
  workgroup   = aws_athena_workgroup.this.id
  database    = aws_glue_catalog_database.this.name

  query = <<-SQL
    CREATE OR REPLACE VIEW "${each.key}" AS
    SELECT ${join(", ", [for column in each.value : "\"${column}\""])}
    FROM (
      SELECT *, row_number() OVER (PARTITION BY owner, source, event_id ORDER BY ingest_time, event_time) AS alluvium_copy
      FROM "${each.key}_raw"
    )
    WHERE alluvium_copy = 1
  SQL
}
