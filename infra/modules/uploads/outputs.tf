output "asked" {
  description = "What the gateway needs: where content lies as `url`, its `bucket_arn`, `folder` and `objects_arn` for a policy, the `table` and the `settings`."
  value = {
    url         = local.url
    bucket_arn  = module.bucket.arn
    folder      = local.folder
    objects_arn = local.objects
    table       = { name = aws_dynamodb_table.this.name, arn = aws_dynamodb_table.this.arn }
    settings    = var.settings
  }
}

output "bucket" {
  description = "The name of the bucket that files are put into."
  value       = module.bucket.name
}

output "queue" {
  description = "The queue that S3 tells of files: `name`, `url` and `arn`."
  value       = { name = aws_sqs_queue.arrived.name, url = aws_sqs_queue.arrived.id, arn = aws_sqs_queue.arrived.arn }
}

output "dead_letter_queue" {
  description = "Where messages end whose files could not be loaded: `name`, `url` and `arn`."
  value       = { name = aws_sqs_queue.dead.name, url = aws_sqs_queue.dead.id, arn = aws_sqs_queue.dead.arn }
}

output "functions" {
  description = "The functions of this module, by name."
  value       = { loader = module.loader }
}
