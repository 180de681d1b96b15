output "functions" {
  description = "The functions of this module, by name."
  value       = { maintain = module.function }
}

output "failed_queue" {
  description = "Where invocations end that failed: `name`, `url` and `arn`."
  value       = { name = aws_sqs_queue.failed.name, url = aws_sqs_queue.failed.id, arn = aws_sqs_queue.failed.arn }
}

output "schedules" {
  description = "The names of the schedules, by task."
  value       = { for task, schedule in aws_scheduler_schedule.this : task => schedule.name }
}

output "schedules_policy" {
  description = "What the schedules' role may do, as JSON."
  value       = aws_iam_role_policy.schedules.policy
}
