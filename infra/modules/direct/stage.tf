# Deployed anew when anything of it changes; throttled, and logged where the account lets API Gateway write logs.

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  triggers = {
    contents = sha256(jsonencode([
      aws_api_gateway_rest_api.this.binary_media_types, local.put_record, local.answers, local.problems, var.cache_seconds,
      [for name in ["accepted", "refused", "not_stored"] : filesha256("${path.module}/templates/${name}.vtl")],
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_integration_response.put, aws_api_gateway_gateway_response.problem]
}

resource "aws_cloudwatch_log_group" "requests" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; the format below has neither token nor owner nor query.
  #checkov:skip=CKV_AWS_338:log_days is the operator's to choose; 30 days serve finding a fault.
  count = var.log_requests ? 1 : 0

  name              = "/aws/apigateway/${var.prefix}-direct"
  retention_in_days = var.log_days
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV_AWS_120:A cache would answer writes.
  #checkov:skip=CKV_AWS_76:direct_route_log; a REST API writes logs by a role of the whole account, which a stage must not set.
  #checkov:skip=CKV2_AWS_4:As above: execution logs would hold bodies, too.
  #checkov:skip=CKV2_AWS_29:A firewall by rules is the operator's to add; who has no token gets no further than the authorizer.
  #checkov:skip=CKV2_AWS_51:Clients show tokens, not certificates.
  #checkov:skip=CKV_AWS_73:Traces begin where code of ours runs; here is none.
  rest_api_id   = aws_api_gateway_rest_api.this.id
  deployment_id = aws_api_gateway_deployment.this.id
  stage_name    = "direct"

  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.requests

    content {
      destination_arn = access_log_settings.value.arn

      format = jsonencode({
        request                  = "$context.requestId"
        time                     = "$context.requestTime"
        route                    = "$context.httpMethod $context.resourcePath"
        status                   = "$context.status"
        milliseconds             = "$context.responseLatency"
        integration_milliseconds = "$context.integrationLatency"
        error                    = "$context.error.message"
        authorizer_error         = "$context.authorizer.error"
        integration_error        = "$context.integrationErrorMessage"
      })
    }
  }
}

resource "aws_api_gateway_method_settings" "this" {
  #checkov:skip=CKV_AWS_225:A cache would answer writes.
  #checkov:skip=CKV_AWS_276:Execution logs stay off: they would hold bodies.
  #checkov:skip=CKV_AWS_308:There is no cache to encrypt.
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = var.requests_per_second
    throttling_burst_limit = var.request_burst
    metrics_enabled        = false
    caching_enabled        = false
    data_trace_enabled     = false
    logging_level          = "OFF"
  }
}
