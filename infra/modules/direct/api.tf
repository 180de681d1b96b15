# A route without a function: API Gateway puts what was sent into the stream itself, behind the seal that the authorizer gives it.
# A REST API, for the parameter mapping of an HTTP API can neither encode a body nor join texts: ../../../docs/adr/0027-a-route-without-a-function.md.

locals {
  # What a body may be said to be. Each is binary to API Gateway, so that a template finds its base64, whatever is in it.
  content_types = [
    "application/json", "application/x-ndjson", "application/cloudevents+json", "application/cloudevents-batch+json",
    "application/octet-stream", "application/x-www-form-urlencoded", "text/plain",
  ]

  # A dataset's name as the seal has it: its length, filled with zeros so that both are a multiple of three bytes, and itself.
  # Version 4 in ../../../docs/formats/envelope.md. Names have fewer than 128 bytes, so the length is one byte where nothing is filled.
  filled = {
    for dataset in var.datasets : dataset => [
      format("\\u%04x\\u0080\\u0000", length(dataset) + 128),
      format("\\u%04x\\u0000", length(dataset) + 128),
      format("\\u%04x", length(dataset)),
    ][length(dataset) % 3]
  }
  sealed_names = {
    for dataset in var.datasets : dataset => textencodebase64("${jsondecode("\"${local.filled[dataset]}\"")}${dataset}", "ISO-8859-1")
  }

  put_record = {
    for dataset in var.datasets : dataset => templatefile("${path.module}/templates/put_record.vtl", {
      stream  = var.stream.name
      dataset = local.sealed_names[dataset]
    })
  }

  # What Kinesis answers, by status.
  answers = {
    "202" = { pattern = "2\\d{2}", type = "application/json", template = "accepted.vtl" }
    "400" = { pattern = "4\\d{2}", type = "application/problem+json", template = "refused.vtl" }
    "503" = { pattern = null, type = "application/problem+json", template = "not_stored.vtl" }
  }
  answered = {
    for pair in setproduct(var.datasets, keys(local.answers)) : join(" ", pair) => { dataset = pair[0], status = pair[1] }
  }
}

resource "aws_api_gateway_rest_api" "this" {
  #checkov:skip=CKV_AWS_237:A new API is made before the old one goes only where both can have the name.
  name               = "${var.prefix}-direct"
  description        = "Events in, without a function: into the stream ${var.stream.name}."
  binary_media_types = local.content_types

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_resource" "v1" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "v1"
}

resource "aws_api_gateway_resource" "dataset" {
  for_each = var.datasets

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.v1.id
  path_part   = each.key
}

resource "aws_api_gateway_authorizer" "this" {
  name            = "token"
  rest_api_id     = aws_api_gateway_rest_api.this.id
  type            = "REQUEST"
  authorizer_uri  = var.authorizer.live_invoke_arn
  identity_source = "method.request.header.Authorization"

  # The verdict is the same for every method here: all of them write.
  authorizer_result_ttl_in_seconds = var.cache_seconds
}

resource "aws_lambda_permission" "authorizer" {
  statement_id  = "direct-route"
  action        = "lambda:InvokeFunction"
  function_name = var.authorizer.name
  qualifier     = "live"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/authorizers/${aws_api_gateway_authorizer.this.id}"
}

resource "aws_api_gateway_method" "put" {
  #checkov:skip=CKV2_AWS_53:Nothing of a request is checked here but by the authorizer and the template; what the body holds is the transform's to judge.
  for_each = var.datasets

  rest_api_id   = aws_api_gateway_rest_api.this.id
  resource_id   = aws_api_gateway_resource.dataset[each.key].id
  http_method   = "POST"
  authorization = "CUSTOM"
  authorizer_id = aws_api_gateway_authorizer.this.id
}

resource "aws_api_gateway_integration" "put" {
  for_each = var.datasets

  rest_api_id = aws_api_gateway_rest_api.this.id
  resource_id = aws_api_gateway_resource.dataset[each.key].id
  http_method = aws_api_gateway_method.put[each.key].http_method

  type                    = "AWS"
  integration_http_method = "POST"
  uri                     = "arn:${var.account.partition}:apigateway:${var.account.region}:kinesis:action/PutRecord"
  credentials             = aws_iam_role.this.arn
  request_parameters      = { "integration.request.header.Content-Type" = "'application/x-amz-json-1.1'" }
  request_templates       = { for type in local.content_types : type => local.put_record[each.key] }

  # The body as base64. What is said to be of another type never passes as it is: 415.
  content_handling     = "CONVERT_TO_TEXT"
  passthrough_behavior = "NEVER"
}

resource "aws_api_gateway_method_response" "put" {
  for_each = local.answered

  rest_api_id         = aws_api_gateway_rest_api.this.id
  resource_id         = aws_api_gateway_resource.dataset[each.value.dataset].id
  http_method         = aws_api_gateway_method.put[each.value.dataset].http_method
  status_code         = each.value.status
  response_parameters = { "method.response.header.Content-Type" = true }
}

resource "aws_api_gateway_integration_response" "put" {
  for_each = local.answered

  rest_api_id       = aws_api_gateway_rest_api.this.id
  resource_id       = aws_api_gateway_resource.dataset[each.value.dataset].id
  http_method       = aws_api_gateway_method.put[each.value.dataset].http_method
  status_code       = aws_api_gateway_method_response.put[each.key].status_code
  selection_pattern = local.answers[each.value.status].pattern
  content_handling  = "CONVERT_TO_TEXT"

  response_parameters = {
    "method.response.header.Content-Type" = "'${local.answers[each.value.status].type}'"
  }
  response_templates = {
    "application/json" = templatefile("${path.module}/templates/${local.answers[each.value.status].template}", {
      dataset = each.value.dataset
    })
  }

  depends_on = [aws_api_gateway_integration.put]
}
