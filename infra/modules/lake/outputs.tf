output "lake_url" {
  description = "Where the tables are."
  value       = local.lake_url
}

output "bucket" {
  description = "The lake's bucket: `name` and `arn`."
  value       = module.bucket
}

output "results" {
  description = "The bucket of statements' results: `name` and `arn`."
  value       = module.results
}

output "data_files_arn" {
  description = "What data files and commit messages are, for a policy."
  value       = local.tables
}

output "parcels_arn" {
  description = "The objects of chunks that wait to be put into the hot index, for a policy."
  value       = "${module.bucket.arn}/${local.folder}/_hot/*"
}

output "commit_queue" {
  description = "The commit queue: `name`, `url` and `arn`."
  value       = { name = aws_sqs_queue.commits.name, url = aws_sqs_queue.commits.id, arn = aws_sqs_queue.commits.arn }
}

output "commit_dead_letter_queue" {
  description = "Where messages end that could not be committed: `name`, `url` and `arn`."
  value       = { name = aws_sqs_queue.commits_dead.name, url = aws_sqs_queue.commits_dead.id, arn = aws_sqs_queue.commits_dead.arn }
}

output "commit_topic_arn" {
  description = "The topic that is told of commits; null: there is none."
  value       = one(aws_sns_topic.commits[*].arn)
}

output "database" {
  description = "The database in the Glue catalogue."
  value       = aws_glue_catalog_database.this.name
}

output "api" {
  description = "What the API's statements run in: the `workgroup` and its `workgroup_arn`; where their results lie, as `results_url` and as `results_arn` for a policy."
  value = {
    workgroup     = aws_athena_workgroup.api.name
    workgroup_arn = aws_athena_workgroup.api.arn
    results_url   = "s3://${module.results.name}/api"
    results_arn   = "${module.results.arn}/api/*"
  }
}

output "workgroup" {
  description = "The Athena workgroup of analysts: `name` and `arn`."
  value       = { name = aws_athena_workgroup.this.name, arn = aws_athena_workgroup.this.arn }
}

output "catalog_arns" {
  description = "The catalogue, the database, and each table and view in it, for a policy."
  value = concat(
    [
      "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}:catalog",
      "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}:database/${local.database}",
    ],
    [
      for table in concat(keys(local.tables_all), keys(local.view_columns)) :
      "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}:table/${local.database}/${table}"
    ],
  )
}

output "default_database_arn" {
  description = "The catalogue's database `default`, for a policy: Athena looks at it whatever a statement is about (Amazon Athena User Guide, \"Configure access to databases and tables in the AWS Glue Data Catalog\")."
  value       = "arn:${var.account.partition}:glue:${var.account.region}:${var.account.id}:database/default"
}

output "functions" {
  description = "The functions of this module, by name."
  value       = { commit = module.commit }
}

output "commit_lag" {
  description = "How long a commit message can wait at most before it is set aside."
  value       = "${local.tries * local.hidden_seconds}s"
}

output "folder_arn" {
  description = "The folder of the lake within its bucket, for a policy: without a slash at its end."
  value       = "${module.bucket.arn}/${local.folder}"
}

output "tables" {
  description = "The tables' folders, by name."
  value       = sort(values(local.tables_all))
}
