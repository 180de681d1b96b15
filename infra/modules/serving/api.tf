# The HTTP API: every route asks the authorizer, except those that say only that the API is there, and how it is called.

locals {
  functions = {
    gateway = module.gateway
    query   = module.query
  }

  # Where there are uploads.
  upload_routes = {
    for key in [
      "POST /v1/uploads", "GET /v1/uploads", "GET /v1/uploads/{id}", "DELETE /v1/uploads/{id}", "PUT /v1/uploads/{id}/content",
    ] : key => "gateway" if var.uploads != null
  }

  routes = merge(local.upload_routes, {
    "POST /v1/{dataset}"                   = "gateway"
    "POST /data"                           = "gateway"
    "GET /v1/{dataset}"                    = "query"
    "GET /v1/{dataset}/live"               = "query"
    "GET /data"                            = "query"
    "POST /v1/queries"                     = "query"
    "GET /v1/queries/{id}"                 = "query"
    "GET /v1/queries/{id}/results"         = "query"
    "GET /v1/queries/{id}/results.csv"     = "query"
    "GET /v1/queries/{id}/results.parquet" = "query"
    "DELETE /v1/queries/{id}"              = "query"
    "GET /v1/reports"                      = "query"
    "GET /v1/reports/{name}"               = "query"
    "GET /v1/reports/{name}/{file}"        = "query"
    "GET /health"                          = "query"
    "GET /openapi.json"                    = "query"
  })

  # RFC 9110, section 9.3.2: what is said of a GET, without its body.
  heads = { for route, function in local.routes : replace(route, "GET ", "HEAD ") => function if startswith(route, "GET ") }

  open_routes = ["GET /health", "HEAD /health", "GET /openapi.json", "HEAD /openapi.json"]
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.prefix
  description   = "Events in, records and SQL out."
  protocol_type = "HTTP"

  dynamic "cors_configuration" {
    for_each = length(var.cors_origins) > 0 ? [1] : []

    content {
      allow_origins = var.cors_origins
      allow_methods = ["GET", "HEAD", "POST", "DELETE"]
      allow_headers = ["authorization", "content-type", "content-encoding", "idempotency-key"]
      # As a node does, and the name that API Gateway gives each request.
      expose_headers = ["link", "location", "retry-after", "alluvium-next", "alluvium-complete", "x-request-id", "apigw-requestid"]
      max_age        = 3600
    }
  }
}

resource "aws_apigatewayv2_authorizer" "this" {
  name                              = "token"
  api_id                            = aws_apigatewayv2_api.this.id
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = module.authorizer.live_invoke_arn
  authorizer_payload_format_version = "2.0"
  enable_simple_responses           = true

  # What a token may do differs by route, so a remembered verdict is one of token and route.
  identity_sources                 = ["$request.header.Authorization", "$context.routeKey"]
  authorizer_result_ttl_in_seconds = var.auth.cache_seconds

  lifecycle {
    # A REQUEST authorizer has none; an emulator that answers an empty one would show a change in every plan.
    ignore_changes = [jwt_configuration]
  }
}

resource "aws_apigatewayv2_integration" "this" {
  for_each = local.functions

  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = each.value.live_invoke_arn
  integration_method     = "POST"
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "this" {
  #checkov:skip=CKV_AWS_309:Every route but /health and /openapi.json has the authorizer; the tests hold that, which a scan of the expression cannot.
  for_each = merge(local.routes, local.heads)

  api_id    = aws_apigatewayv2_api.this.id
  route_key = each.key
  target    = "integrations/${aws_apigatewayv2_integration.this[each.value].id}"

  authorization_type = contains(local.open_routes, each.key) ? "NONE" : "CUSTOM"
  authorizer_id      = contains(local.open_routes, each.key) ? null : aws_apigatewayv2_authorizer.this.id
}

resource "aws_cloudwatch_log_group" "requests" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; the format below has neither token nor owner nor query.
  #checkov:skip=CKV_AWS_338:log_days is the operator's to choose; 30 days serve finding a fault.
  name              = "/aws/apigateway/${var.prefix}"
  retention_in_days = var.functions.log_days
}

resource "aws_apigatewayv2_stage" "this" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit  = var.requests_per_second
    throttling_burst_limit = var.request_burst
  }

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.requests.arn

    format = jsonencode({
      request           = "$context.requestId"
      time              = "$context.requestTime"
      route             = "$context.routeKey"
      status            = "$context.status"
      bytes             = "$context.responseLength"
      milliseconds      = "$context.responseLatency"
      error             = "$context.error.message"
      authorizer_error  = "$context.authorizer.error"
      integration_error = "$context.integrationErrorMessage"
      # The invocation, which its function's log has as `request_id`.
      invocation = "$context.awsEndpointRequestId"
    })
  }
}

resource "aws_lambda_permission" "route" {
  for_each = local.functions

  statement_id  = "api-gateway"
  action        = "lambda:InvokeFunction"
  function_name = each.value.name
  qualifier     = "live"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/*"
}

resource "aws_lambda_permission" "authorizer" {
  statement_id  = "api-gateway"
  action        = "lambda:InvokeFunction"
  function_name = module.authorizer.name
  qualifier     = "live"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.this.id}"
}
