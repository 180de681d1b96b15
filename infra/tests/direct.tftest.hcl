# The direct route: only who may write gets a record into the stream, under a seal of the authorizer's, and nothing passes unread.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix              = "alluvium-test"
  account             = { id = "123456789012", region = "eu-west-1", partition = "aws" }
  stream              = { name = "alluvium-test-events", arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/alluvium-test-events" }
  datasets            = ["a", "ab", "abc", "telemetry"]
  cache_seconds       = 60
  requests_per_second = 10
  request_burst       = 20
  log_requests        = false
  log_days            = 14

  authorizer = {
    name            = "alluvium-test-authorizer"
    live_invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/authorizer:live/invocations"
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/direct"
  }

  assert {
    condition = alltrue([
      for method in values(aws_api_gateway_method.put) :
      method.http_method == "POST" && method.authorization == "CUSTOM" && method.authorizer_id == aws_api_gateway_authorizer.this.id
    ]) && length(aws_api_gateway_method.put) == 4
    error_message = "Each dataset has one route, which writes and asks the authorizer."
  }

  assert {
    condition     = aws_api_gateway_authorizer.this.type == "REQUEST" && aws_api_gateway_authorizer.this.identity_source == "method.request.header.Authorization"
    error_message = "A verdict is remembered by token."
  }

  assert {
    condition     = jsondecode(output.policy).Statement == [{ Action = ["kinesis:PutRecord"], Effect = "Allow", Resource = [var.stream.arn] }]
    error_message = "API Gateway may put records into this stream and nothing else."
  }

  assert {
    condition = alltrue([
      for integration in values(aws_api_gateway_integration.put) :
      integration.passthrough_behavior == "NEVER" && integration.content_handling == "CONVERT_TO_TEXT"
      && toset(keys(integration.request_templates)) == toset(aws_api_gateway_rest_api.this.binary_media_types)
    ])
    error_message = "A body reaches the stream through a template alone, as base64 whatever it is said to be."
  }

  assert {
    condition = alltrue([
      for dataset, integration in aws_api_gateway_integration.put : alltrue([
        for template in values(integration.request_templates) :
        strcontains(template, "\"Data\": \"$${context.authorizer.seal}${local.sealed_names[dataset]}$util.escapeJavaScript($input.body)\"")
        && strcontains(template, "\"StreamName\": \"alluvium-test-events\"")
      ])
    ])
    error_message = "A record is the authorizer's seal, the route's dataset, and the body, which cannot leave its text."
  }

  # The same as core/src/envelope.rs puts behind a seal; testdata/direct_route.json holds both to each other.
  assert {
    condition     = local.sealed_names == { a = "gQBh", ab = "AmFi", abc = "g4AAYWJj", telemetry = "iYAAdGVsZW1ldHJ5" }
    error_message = "A dataset's name is sealed as the format says, and its base64 has no padding."
  }

  assert {
    condition = alltrue([
      for key, response in aws_api_gateway_integration_response.put :
      response.response_parameters["method.response.header.Content-Type"] == (endswith(key, "202") ? "'application/json'" : "'application/problem+json'")
    ]) && length(aws_api_gateway_integration_response.put) == 12
    error_message = "What Kinesis refuses is answered as a problem document."
  }

  assert {
    condition = alltrue([
      for type, response in aws_api_gateway_gateway_response.problem :
      jsondecode(response.response_templates["application/json"]).status == tonumber(response.status_code)
      && startswith(jsondecode(response.response_templates["application/json"]).type, "/problems/")
      && response.response_parameters["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
    ]) && contains(keys(aws_api_gateway_gateway_response.problem), "DEFAULT_5XX")
    error_message = "What API Gateway refuses itself is answered as a problem document."
  }

  assert {
    condition = {
      for type, response in aws_api_gateway_gateway_response.problem : type => response.status_code if startswith(response.status_code, "5")
      } == {
      AUTHORIZER_CONFIGURATION_ERROR = "500", AUTHORIZER_FAILURE = "500", DEFAULT_5XX = "500", INTEGRATION_FAILURE = "504", INTEGRATION_TIMEOUT = "504"
    }
    error_message = "What fails keeps API Gateway's own status: one that is modified counts as the client's error, and no alarm sees it."
  }

  assert {
    condition = (
      aws_api_gateway_method_settings.this.settings[0].throttling_rate_limit == 10
      && aws_api_gateway_method_settings.this.settings[0].throttling_burst_limit == 20
      && aws_api_gateway_method_settings.this.settings[0].logging_level == "OFF"
      && !aws_api_gateway_method_settings.this.settings[0].data_trace_enabled
    )
    error_message = "Requests are throttled, and no body is logged."
  }

  assert {
    condition     = length(aws_cloudwatch_log_group.requests) == 0
    error_message = "Requests are logged only when told: the account needs a role for it."
  }

  assert {
    condition     = aws_lambda_permission.authorizer.qualifier == "live" && startswith(aws_lambda_permission.authorizer.source_arn, aws_api_gateway_rest_api.this.execution_arn)
    error_message = "Only this API asks the authorizer by this permission."
  }
}

run "logged" {
  command = apply

  module {
    source = "./modules/direct"
  }

  variables {
    log_requests = true
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.requests[0].retention_in_days == 14
      && !can(regex("(?i)authorization|querystring|sourceIp|authorizer\\.(owner|seal)", aws_api_gateway_stage.this.access_log_settings[0].format))
    )
    error_message = "The request log ends, and holds no token, address, owner or query."
  }
}
