# With `endpoint_url` every call goes there, STS included, so that the account's id resolves as it does on AWS.
provider "aws" {
  region = var.region

  # An endpoint of one's own rarely has a name per bucket.
  s3_use_path_style = var.endpoint_url != null

  endpoints {
    apigateway     = var.endpoint_url
    apigatewayv2   = var.endpoint_url
    athena         = var.endpoint_url
    cloudfront     = var.endpoint_url
    cloudwatch     = var.endpoint_url
    cloudwatchlogs = var.endpoint_url
    dynamodb       = var.endpoint_url
    ec2            = var.endpoint_url
    eventbridge    = var.endpoint_url
    firehose       = var.endpoint_url
    glue           = var.endpoint_url
    iam            = var.endpoint_url
    kinesis        = var.endpoint_url
    kms            = var.endpoint_url
    lambda         = var.endpoint_url
    s3             = var.endpoint_url
    scheduler      = var.endpoint_url
    secretsmanager = var.endpoint_url
    sns            = var.endpoint_url
    sqs            = var.endpoint_url
    ssm            = var.endpoint_url
    sts            = var.endpoint_url
  }

  dynamic "default_tags" {
    # An emulator that forgets the tags a resource is made with would show a change in every plan.
    for_each = var.endpoint_url == null ? [1] : []

    content {
      tags = merge(var.tags, {
        application = var.name
        stage       = var.stage
      })
    }
  }
}
