output "buffer" {
  description = "The queue of chunks that wait: `name`, `url` and `arn`."
  value       = { name = aws_sqs_queue.buffer.name, url = aws_sqs_queue.buffer.id, arn = aws_sqs_queue.buffer.arn }
}

output "buffer_dead_letter_queue" {
  description = "Where messages end whose chunks could not be written: `name`, `url` and `arn`."
  value       = { name = aws_sqs_queue.buffer_dead.name, url = aws_sqs_queue.buffer_dead.id, arn = aws_sqs_queue.buffer_dead.arn }
}

output "waiting_table" {
  description = "The table in which it is noted what waits: `name` and `arn`."
  value       = { name = aws_dynamodb_table.waiting.name, arn = aws_dynamodb_table.waiting.arn }
}

output "functions" {
  description = "The functions of this module, by name."
  value       = { hot-writer = module.hot_writer }
}
