# What serves the API: a hot index that is safe, a secret that nobody sees, routes that ask for a token.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix               = "alluvium-test"
  stream               = { name = "events", arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/events" }
  on_destroy           = "refuse"
  hot_margin           = "1h"
  commit_lag           = "1805s"
  waiting_table        = { name = "waiting", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/waiting" }
  sql_time             = "20s"
  requests_per_second  = 10
  request_burst        = 20
  cors_origins         = []
  auth                 = { jwks_url = null, issuer = null, audience = null, role_claim = "Role", cache_seconds = 60 }
  secret_version       = 0
  secret_recovery_days = 7

  reports = {
    url         = "s3://reports/results"
    bucket_arn  = "arn:aws:s3:::reports"
    objects_arn = "arn:aws:s3:::reports/results/*"
    days        = 400
  }

  lake = {
    bucket_arn           = "arn:aws:s3:::lake"
    data_files_arn       = "arn:aws:s3:::lake/lake/*"
    results_bucket_arn   = "arn:aws:s3:::results"
    results_arn          = "arn:aws:s3:::results/api/*"
    results_url          = "s3://results/api"
    catalog_arns         = ["arn:aws:glue:eu-west-1:123456789012:catalog"]
    default_database_arn = "arn:aws:glue:eu-west-1:123456789012:database/default"
    database             = "alluvium_test"
    workgroup            = "alluvium-test-api"
    workgroup_arn        = "arn:aws:athena:eu-west-1:123456789012:workgroup/alluvium-test-api"
  }

  functions = {
    architecture     = "arm64"
    package_dir      = "no-such-folder"
    live_versions    = {}
    memory_megabytes = { gateway = 256, query = 512, authorizer = 128 }
    log_days         = 14
    environment      = {}
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/serving"
  }

  assert {
    condition = (
      aws_dynamodb_table.hot.ttl[0].enabled
      && aws_dynamodb_table.hot.ttl[0].attribute_name == "expires_at"
    )
    error_message = "Chunks expire by themselves."
  }

  assert {
    condition     = aws_dynamodb_table.hot.point_in_time_recovery[0].enabled
    error_message = "The hot index can be put back to any second."
  }

  assert {
    condition     = aws_dynamodb_table.hot.server_side_encryption[0].enabled
    error_message = "The hot index is encrypted."
  }

  assert {
    condition     = aws_dynamodb_table.hot.deletion_protection_enabled
    error_message = "The hot index is not destroyed unless on_destroy says so."
  }

  assert {
    condition     = "${aws_dynamodb_table.hot.hash_key} ${aws_dynamodb_table.hot.range_key}" == "pk sk"
    error_message = "The keys are those that the functions use."
  }

  assert {
    condition = [for index in aws_dynamodb_table.hot.global_secondary_index : "${index.name} ${index.hash_key} ${index.range_key} ${index.projection_type}"] == [
      "puts pk put KEYS_ONLY"
    ]
    error_message = "The order of the puts is told by an index of keys alone."
  }

  assert {
    condition     = module.authorizer.environment["ALLUVIUM_AUTH__SECRET"] == "secret:${aws_secretsmanager_secret.signing.arn}"
    error_message = "The authorizer is told where the secret is, not what it is."
  }

  assert {
    condition = [
      for name, function in { gateway = module.gateway, query = module.query, authorizer = module.authorizer } : name
      if strcontains(function.policy, "secretsmanager")
    ] == ["authorizer"]
    error_message = "Only the authorizer reads the secret."
  }

  assert {
    condition = (
      aws_apigatewayv2_stage.this.default_route_settings[0].throttling_rate_limit == 10
      && aws_apigatewayv2_stage.this.default_route_settings[0].throttling_burst_limit == 20
    )
    error_message = "Requests are throttled."
  }

  assert {
    condition = alltrue([
      for key, route in aws_apigatewayv2_route.this :
      route.authorization_type == (can(regex("^(GET|HEAD) /(health|openapi.json)$", key)) ? "NONE" : "CUSTOM")
      && (route.authorization_type == "NONE" || route.authorizer_id == aws_apigatewayv2_authorizer.this.id)
    ])
    error_message = "Every route but those of the health and of the API's description asks the authorizer."
  }

  assert {
    condition = toset([for key in keys(aws_apigatewayv2_route.this) : trimprefix(key, "HEAD ") if startswith(key, "HEAD ")]) == toset([
      for key in keys(aws_apigatewayv2_route.this) : trimprefix(key, "GET ") if startswith(key, "GET ")
    ])
    error_message = "Whatever may be read may be asked about without its body."
  }

  assert {
    condition = toset(jsondecode(module.query.environment.ALLUVIUM_API__ROUTES)) == toset([
      for key in keys(aws_apigatewayv2_route.this) : key if !startswith(key, "HEAD ")
    ])
    error_message = "The function tells of the routes that there are."
  }

  assert {
    condition     = contains(aws_apigatewayv2_authorizer.this.identity_sources, "$context.routeKey")
    error_message = "A verdict that is remembered holds for one route: what a token may do differs by route."
  }

  assert {
    condition = (
      aws_apigatewayv2_authorizer.this.enable_simple_responses
      && aws_apigatewayv2_authorizer.this.authorizer_payload_format_version == "2.0"
    )
    error_message = "The authorizer answers yes or no, with the owner as context."
  }

  assert {
    condition = alltrue([
      for permission in concat(values(aws_lambda_permission.route), [aws_lambda_permission.authorizer]) :
      permission.qualifier == "live" && startswith(permission.source_arn, aws_apigatewayv2_api.this.execution_arn)
    ])
    error_message = "Only this API calls these functions, and only their alias live."
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.requests.retention_in_days == 14
      && !can(regex("(?i)authorization|querystring|sourceIp|authorizer\\.owner", aws_apigatewayv2_stage.this.access_log_settings[0].format))
    )
    error_message = "The request log ends, and holds no token, address, owner or query."
  }

  assert {
    condition = [
      for resource in flatten([
        for statement in jsondecode(module.query.policy).Statement : statement.Resource
        if contains(statement.Action, "s3:PutObject")
      ]) : resource
    ] == ["arn:aws:s3:::results/api/*"]
    error_message = "The query function writes the results of its own statements, and nothing of analysts'."
  }

  assert {
    condition     = length(aws_apigatewayv2_api.this.cors_configuration) == 0
    error_message = "No web page may call the API unless its origin is named."
  }
}

run "uploads" {
  command = apply

  module {
    source = "./modules/serving"
  }

  variables {
    uploads = {
      url         = "s3://uploads/content"
      bucket_arn  = "arn:aws:s3:::uploads"
      folder      = "content"
      objects_arn = "arn:aws:s3:::uploads/content/*"
      table       = { name = "uploads", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/uploads" }
      settings    = { max_megabytes = 2, stored_megabytes = 8, unfinished = 5, unfinished_of_owner = 3, kept_days = 7 }
    }
  }

  assert {
    condition = (
      length(aws_apigatewayv2_route.this) == 35
      && aws_apigatewayv2_route.this["PUT /v1/uploads/{id}/content"].authorization_type == "CUSTOM"
      && aws_apigatewayv2_route.this["POST /v1/uploads"].target == aws_apigatewayv2_route.this["POST /v1/{dataset}"].target
    )
    error_message = "The gateway answers about uploads, and asks for a token."
  }

  assert {
    condition = (
      module.gateway.environment["ALLUVIUM_UPLOADS__STORED_BYTES"] == "8388608"
      && module.gateway.environment["ALLUVIUM_UPLOADS__UNFINISHED_OF_OWNER"] == "3"
      && module.gateway.environment["ALLUVIUM_UPLOADS__KEPT"] == "7d"
    )
    error_message = "The gateway knows the limits."
  }
}

# Planned alone: what is applied runs the command, whose own tests are in test_secret.py.
run "a_secret_is_made" {
  command = plan

  module {
    source = "./modules/serving"
  }

  variables {
    secret_version = 3
  }

  override_resource {
    target          = aws_secretsmanager_secret.signing
    override_during = plan
    values          = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:mocked-AbCdEf" }
  }

  override_resource {
    target          = terraform_data.signing
    override_during = plan
    values          = { id = "mocked" }
  }

  assert {
    condition     = module.authorizer.environment["SIGNING_VERSION"] == "mocked"
    error_message = "A new secret makes a new version of the authorizer, which reads it, and only once it is there."
  }

  assert {
    condition     = [for value in terraform_data.signing[0].triggers_replace : tostring(value)] == [aws_secretsmanager_secret.signing.arn, "3"]
    error_message = "A secret has a value made for it, and another one with another secret_version."
  }
}

run "a_secret_of_ones_own" {
  command = apply

  module {
    source = "./modules/serving"
  }

  variables {
    on_destroy   = "delete"
    cors_origins = ["https://console.example"]
  }

  assert {
    condition     = length(terraform_data.signing) == 0 && !contains(keys(module.authorizer.environment), "SIGNING_VERSION")
    error_message = "With secret_version = 0 no secret is made."
  }

  assert {
    condition     = !aws_dynamodb_table.hot.deletion_protection_enabled
    error_message = "on_destroy = delete lets the hot index go."
  }

  assert {
    condition     = aws_apigatewayv2_api.this.cors_configuration[0].allow_origins == toset(["https://console.example"])
    error_message = "The origins named, and no others, may call the API."
  }

  assert {
    condition = alltrue([
      for header in ["link", "location", "retry-after", "alluvium-next", "alluvium-complete", "x-request-id"] :
      contains(aws_apigatewayv2_api.this.cors_configuration[0].expose_headers, header)
    ])
    error_message = "A page reads the same headers as from a node."
  }
}
