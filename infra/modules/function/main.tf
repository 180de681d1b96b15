# A Lambda function with a role of its own, a log group that ends, published versions and the alias `live`.

locals {
  name    = "${var.prefix}-${var.name}"
  package = "${var.settings.package_dir}/${var.name}.zip"

  policy = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
      }],
      [for statement in var.statements : {
        Effect   = "Allow"
        Action   = statement.actions
        Resource = statement.resources
      }],
    )
  }
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; functions log no event's content.
  #checkov:skip=CKV_AWS_338:log_days is the operator's to choose; 30 days serve finding a fault.
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.settings.log_days
}

resource "aws_iam_role" "this" {
  name        = local.name
  description = var.description

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = "own"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.policy)
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_115:A reservation takes from the account's limit, which is 10 in a new account. What must not run more than twice is held back at its queue.
  #checkov:skip=CKV_AWS_116:Firehose, SQS and API Gateway see each failure themselves. What is invoked asynchronously, maintain, has a destination for failures.
  #checkov:skip=CKV_AWS_117:Everything that a function talks to is a public AWS endpoint behind IAM; a network would add a gateway's price and nothing else.
  #checkov:skip=CKV_AWS_173:No variable is a secret; the tests hold that. Lambda encrypts them with a key of its own.
  #checkov:skip=CKV_AWS_50:X-Ray can be permitted only for all resources, which no role here is given.
  #checkov:skip=CKV_AWS_272:Zips are built and deployed by the same hands; signing them would prove nothing more.
  function_name = local.name
  description   = var.description
  role          = aws_iam_role.this.arn

  runtime       = "provided.al2023"
  handler       = "bootstrap"
  architectures = [var.settings.architecture]
  memory_size   = var.settings.memory_megabytes[var.name]
  timeout       = var.timeout_seconds

  reserved_concurrent_executions = var.reserved_concurrency

  ephemeral_storage {
    size = var.disk_megabytes
  }

  filename = local.package
  # Without the zip a plan can still be made, validated and tested; an apply then says which file it misses.
  source_code_hash = fileexists(local.package) ? filebase64sha256(local.package) : null
  publish          = true

  environment {
    variables = { for key, value in merge(var.settings.environment, var.environment) : key => value if value != null }
  }

  # The first invocation must find its rights, and the log group that ends: else Lambda makes one that never does.
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy.this]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "What is called. Another version here is a rollback."
  function_name    = aws_lambda_function.this.function_name
  function_version = lookup(var.settings.live_versions, var.name, aws_lambda_function.this.version)
}

output "name" {
  description = "The function's name."
  value       = aws_lambda_function.this.function_name
}

output "live_arn" {
  description = "The ARN of the alias `live`."
  value       = aws_lambda_alias.live.arn
}

output "live_invoke_arn" {
  description = "What API Gateway calls to reach the alias `live`."
  value       = aws_lambda_alias.live.invoke_arn
}

output "version" {
  description = "The version that was published last; note it for a rollback."
  value       = aws_lambda_function.this.version
}

output "environment" {
  description = "The function's variables."
  value       = aws_lambda_function.this.environment[0].variables
}

output "policy" {
  description = "What the function's role may do, as JSON."
  value       = aws_iam_role_policy.this.policy
}
