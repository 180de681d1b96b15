# The lake's bucket, and one apart for the results of SQL: whoever reads a result reads what its statement read.

module "bucket" {
  source = "../bucket"

  name          = "${var.prefix}-lake-${var.bucket_suffix}"
  on_destroy    = var.on_destroy
  undelete_days = var.undelete_days
  # Commit messages, and chunks that wait for the hot index, go by age, later than both queues can still name one (14 days each).
  # What else is old enough to go is retention's to decide, through the tables' logs.
  expire_days = { "${local.folder}/_commits/" = 29, "${local.folder}/_hot/" = 29 }
}

module "results" {
  source = "../bucket"

  name        = "${var.prefix}-results-${var.bucket_suffix}"
  on_destroy  = "delete"
  expire_days = { "" = var.sql_result_days }
}

locals {
  # The folder of the tables within the bucket.
  folder   = "lake"
  lake_url = "s3://${module.bucket.name}/${local.folder}"
  tables   = "${module.bucket.arn}/${local.folder}/*"
}
