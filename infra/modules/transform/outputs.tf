output "landing" {
  description = "The bucket of what Firehose puts aside and backs up: `name` and `arn`."
  value       = module.landing
}

output "delivery_name" {
  description = "Firehose's delivery stream; null where a loop of one's own delivers."
  value       = one(aws_kinesis_firehose_delivery_stream.this[*].name)
}

output "firehose_policy" {
  description = "What Firehose's role may do, as JSON."
  value       = aws_iam_role_policy.firehose.policy
}

output "functions" {
  description = "The functions of this module, by name."
  value       = { transform = module.transform }
}
