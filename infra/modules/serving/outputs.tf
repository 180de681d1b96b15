output "api" {
  description = "The HTTP API: `id` and `url`."
  value       = { id = aws_apigatewayv2_api.this.id, url = aws_apigatewayv2_api.this.api_endpoint }
}

output "hot_table" {
  description = "The table of the hot index: `name` and `arn`."
  value       = { name = aws_dynamodb_table.hot.name, arn = aws_dynamodb_table.hot.arn }
}

output "signing_secret_arn" {
  description = "Where the secret is that HS256 tokens are signed with."
  value       = aws_secretsmanager_secret.signing.arn
}

output "functions" {
  description = "The functions of this module, by name."
  value       = { gateway = module.gateway, query = module.query, authorizer = module.authorizer }
}
