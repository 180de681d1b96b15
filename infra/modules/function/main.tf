# A Lambda function with a role of its own, a log group that ends, published versions and the alias `live`.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  name    = "${var.prefix}-${var.name}"
  package = "${var.settings.package_dir}/${var.name}.zip"
  arn     = "arn:${data.aws_partition.current.partition}:lambda:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:function:${local.name}"

  policy = {
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
      }],
      [for statement in var.statements : merge(
        {
          Effect   = "Allow"
          Action   = statement.actions
          Resource = statement.resources
        },
        { for under in [statement.under] : "Condition" => { StringLike = { "s3:prefix" = "${under}*" } } if under != null },
      )],
      # X-Ray knows no resources that these two could be held to.
      [for mode in [var.settings.tracing] : {
        Effect   = "Allow"
        Action   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
        Resource = ["*"]
      } if mode == "Active"],
      [for statement in local.network_statements : statement if var.settings.network != null],
    )
  }
}

locals {
  # Lambda joins the function to its network with the function's own role; the code in it has no business with that.
  # AWS Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC".
  network_actions = [
    "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
  ]
  network_statements = [
    { Effect = "Allow", Action = local.network_actions, Resource = ["*"] },
    {
      Effect    = "Deny"
      Action    = local.network_actions
      Resource  = ["*"]
      Condition = { ArnEquals = { "lambda:SourceFunctionArn" = [local.arn] } }
    },
  ]
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
  #checkov:skip=CKV_AWS_116:Firehose, SQS and API Gateway see each failure themselves. Of what is invoked asynchronously, maintain has a destination for failures, and what report did not do its next call does.
  #checkov:skip=CKV_AWS_117:Everything that a function talks to is an AWS endpoint behind IAM; network_cidr puts functions into a network without a way out, for its price.
  #checkov:skip=CKV_AWS_173:No variable is a secret; the tests hold that. Lambda encrypts them with a key of its own.
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

  tracing_config {
    mode = var.settings.tracing
  }

  dynamic "vpc_config" {
    for_each = var.settings.network[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

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

output "timeout_seconds" {
  description = "How long one invocation may take."
  value       = aws_lambda_function.this.timeout
}

output "memory_megabytes" {
  description = "Its memory, which its time is charged by."
  value       = aws_lambda_function.this.memory_size
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

output "own_name" {
  description = "The function's name as its policy has it."
  value       = local.name
}

output "network" {
  description = "The subnets that the function is in; none: outside of any network of ours."
  value       = flatten(aws_lambda_function.this.vpc_config[*].subnet_ids)
}

output "environment" {
  description = "The function's variables."
  value       = aws_lambda_function.this.environment[0].variables
}

output "policy" {
  description = "What the function's role may do, as JSON."
  value       = aws_iam_role_policy.this.policy
}
