# What API Gateway may do: put records into the one stream. Whoever may do that is believed about whose data it is, so nobody else
# but the gateway's function has the right.

locals {
  policy = {
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["kinesis:PutRecord"]
      Resource = [var.stream.arn]
    }]
  }
}

resource "aws_iam_role" "this" {
  name        = "${var.prefix}-direct"
  description = "Puts what API Gateway takes in into the stream."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "apigateway.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = "own"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.policy)
}

output "api" {
  description = "The REST API, as its metrics name it: `name` and `stage`."
  value       = { name = aws_api_gateway_rest_api.this.name, stage = aws_api_gateway_stage.this.stage_name }
}

output "url" {
  description = "Where events are sent: `<url>/v1/<dataset>`."
  value       = aws_api_gateway_stage.this.invoke_url
}

output "policy" {
  description = "What API Gateway's role may do, as JSON."
  value       = aws_iam_role_policy.this.policy
}
