output "landing" {
  description = "The bucket of what Firehose puts aside and backs up: `name` and `arn`."
  value       = module.landing
}

output "firehose_policy" {
  description = "What Firehose's role may do, as JSON."
  value       = aws_iam_role_policy.firehose.policy
}

output "functions" {
  description = "The functions of this module, by name."
  value       = { transform = module.transform }
}
