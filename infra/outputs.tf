output "api_id" {
  description = "The HTTP API's id."
  value       = module.serving.api.id
}

output "api_url" {
  description = "Where events are sent and records asked for."
  value       = module.serving.api.url
}

output "console_url" {
  description = "The console's address; null without console."
  value       = one(module.console[*].url)
}

output "console_distribution_domain" {
  description = "What a record of console_domain points to; null without console."
  value       = one(module.console[*].distribution_domain)
}

output "direct_url" {
  description = "Where events are sent that go into the stream without a function; null without direct_route."
  value       = one(module.direct[*].url)
}

output "stream_name" {
  description = "The stream, for producers that use the Kinesis API."
  value       = module.stream.name
}

output "lake_url" {
  description = "Where the Delta tables are."
  value       = module.lake.lake_url
}

output "landing_bucket" {
  description = "The bucket of the source backup and of what Firehose put aside."
  value       = module.transform.landing.name
}

output "results_bucket" {
  description = "The bucket of statements' results."
  value       = module.lake.results.name
}

output "database" {
  description = "The database, for Athena and others that read the Glue catalogue."
  value       = module.lake.database
}

output "workgroup" {
  description = "The Athena workgroup of analysts."
  value       = module.lake.workgroup.name
}

output "hot_table" {
  description = "The DynamoDB table of the hot index."
  value       = module.serving.hot_table.name
}

output "hot_waiting_table" {
  description = "The DynamoDB table in which it is noted what waits to be put into the hot index."
  value       = module.levelling.waiting_table.name
}

output "hot_buffer_url" {
  description = "The queue of chunks that wait to be put into the hot index."
  value       = module.levelling.buffer.url
}

output "hot_buffer_dead_letter_queue_url" {
  description = "Where messages end whose chunks could not be put into the hot index."
  value       = module.levelling.buffer_dead_letter_queue.url
}

output "commit_queue_url" {
  description = "The commit queue."
  value       = module.lake.commit_queue.url
}

output "commit_dead_letter_queue_url" {
  description = "Where commit messages end that could not be committed."
  value       = module.lake.commit_dead_letter_queue.url
}

output "maintain_failed_queue_url" {
  description = "Where invocations of the maintenance end that failed."
  value       = module.maintain.failed_queue.url
}

output "reports_bucket" {
  description = "The bucket of the results of reports."
  value       = module.reports.results.bucket
}

output "commit_topic_arn" {
  description = "The SNS topic that is told of commits; null unless announce_commits is set."
  value       = module.lake.commit_topic_arn
}

output "signing_secret_arn" {
  description = "Where the secret is that HS256 tokens are signed with."
  value       = module.serving.signing_secret_arn
}

output "dashboard" {
  description = "The dashboard's name in CloudWatch."
  value       = module.watch.dashboard
}

output "alarm_topic_arn" {
  description = "The SNS topic that every alarm tells; null without alarms."
  value       = module.watch.topic_arn
}

output "alarms" {
  description = "Each alarm's ARN, by its name within the stage."
  value       = module.watch.alarms
}

output "set_aside_queue_url" {
  description = "The queue of notes about records that were put aside."
  value       = module.watch.set_aside_queue_url
}

output "functions" {
  description = "Each function's name."
  value       = { for name, function in local.every_function : name => function.name }
}

output "versions" {
  description = "Each function's newest version; note them before a deploy, for live_versions."
  value       = { for name, function in local.every_function : name => function.version }
}

locals {
  every_function = merge(module.transform.functions, module.lake.functions, module.serving.functions, module.levelling.functions, module.maintain.functions, module.reports.functions, module.uploads[*].functions...)
}
