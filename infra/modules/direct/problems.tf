# What API Gateway answers itself, as the problem documents that the gateway answers with. Its 5xx keep the status that API Gateway gives them:
# one that is modified counts as a `4XXError`, so that no alarm would see it. Amazon API Gateway Developer Guide, "Amazon API Gateway dimensions
# and metrics".

locals {
  problems = {
    UNAUTHORIZED                   = { status = 401, slug = "no-token", detail = "the header `Authorization` with a bearer token is missing" }
    ACCESS_DENIED                  = { status = 403, slug = "not-permitted", detail = "the token is no good, or lacks the role `data.write`, which writing events needs" }
    MISSING_AUTHENTICATION_TOKEN   = { status = 404, slug = "no-such-route", detail = "there is no such dataset or method here; events are sent to POST /v1/{dataset}" }
    UNSUPPORTED_MEDIA_TYPE         = { status = 415, slug = "unknown-media-type", detail = "the `Content-Type` must be one of ${join(", ", local.content_types)}" }
    REQUEST_TOO_LARGE              = { status = 413, slug = "body-too-large", detail = "a record of the stream, with whose it is, holds 1 MiB at most" }
    THROTTLED                      = { status = 429, slug = "too-many-requests", detail = "more requests a second came than the stage takes", retry_after_seconds = 1 }
    AUTHORIZER_FAILURE             = { status = 500, slug = "keys-unavailable", detail = "the token could not be checked; nothing was stored", retry_after_seconds = 10 }
    AUTHORIZER_CONFIGURATION_ERROR = { status = 500, slug = "keys-unavailable", detail = "the token could not be checked; nothing was stored", retry_after_seconds = 10 }
    INTEGRATION_FAILURE            = { status = 504, slug = "not-stored", detail = local.unknown, retry_after_seconds = 2 }
    INTEGRATION_TIMEOUT            = { status = 504, slug = "stream-too-slow", detail = local.unknown, retry_after_seconds = 2 }
    DEFAULT_4XX                    = { status = 400, slug = "bad-request", detail = "the request cannot be used" }
    DEFAULT_5XX                    = { status = 500, slug = "not-stored", detail = local.unknown, retry_after_seconds = 2 }
  }
  unknown = "it is not known whether the record was stored. Sending it again is safe when its events carry an `id`"
}

resource "aws_api_gateway_gateway_response" "problem" {
  for_each = local.problems

  rest_api_id   = aws_api_gateway_rest_api.this.id
  response_type = each.key
  status_code   = tostring(each.value.status)

  response_templates = {
    "application/json" = jsonencode(merge(
      {
        type   = "/problems/${each.value.slug}"
        title  = "${upper(substr(each.value.slug, 0, 1))}${replace(substr(each.value.slug, 1, -1), "-", " ")}"
        status = each.value.status
        detail = each.value.detail
      },
      try({ retry_after_seconds = each.value.retry_after_seconds }, {}),
    ))
  }

  response_parameters = merge(
    { "gatewayresponse.header.Content-Type" = "'application/problem+json'" },
    try({ "gatewayresponse.header.Retry-After" = "'${each.value.retry_after_seconds}'" }, {}),
    each.key == "UNAUTHORIZED" ? { "gatewayresponse.header.WWW-Authenticate" = "'Bearer'" } : {},
  )
}
