# The console: files that CloudFront alone reads, and the API under the same address, uncached and over TLS.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix          = "alluvium-test"
  bucket_suffix   = "123456789012-eu-west-1"
  account         = { id = "123456789012", region = "eu-west-1", partition = "aws" }
  files_dir       = "../query/console"
  api_url         = "https://abc.execute-api.eu-west-1.amazonaws.com"
  domain          = null
  certificate_arn = null
}

run "promises" {
  command = apply

  module {
    source = "./modules/console"
  }

  assert {
    condition = alltrue([
      for name, file in aws_s3_object.file :
      file.key == (name == "index.html" ? "index.html" : "console/${name}") && file.cache_control == "no-cache" && file.content_type != null
    ]) && contains(keys(aws_s3_object.file), "app.js")
    error_message = "Each file lies where the page looks for it, and is asked for anew after a release."
  }

  assert {
    condition     = aws_cloudfront_origin_access_control.this.signing_behavior == "always" && aws_cloudfront_origin_access_control.this.signing_protocol == "sigv4"
    error_message = "CloudFront signs what it asks of the bucket."
  }

  assert {
    condition = anytrue([
      for origin in aws_cloudfront_distribution.this.origin :
      origin.origin_id == "console" && origin.origin_access_control_id == aws_cloudfront_origin_access_control.this.id
      ]) && anytrue([
      for origin in aws_cloudfront_distribution.this.origin :
      origin.origin_id == "api" && origin.domain_name == "abc.execute-api.eu-west-1.amazonaws.com"
      && try(origin.custom_origin_config[0].origin_protocol_policy, null) == "https-only"
      && try(origin.custom_origin_config[0].origin_ssl_protocols, null) == toset(["TLSv1.2"])
    ])
    error_message = "The bucket and the API are asked over TLS 1.2."
  }

  assert {
    condition = alltrue([
      for behavior in aws_cloudfront_distribution.this.ordered_cache_behavior :
      behavior.target_origin_id == "api" && behavior.viewer_protocol_policy == "https-only"
      && behavior.cache_policy_id == local.caching_disabled && behavior.origin_request_policy_id == local.all_viewer_except_host_header
      ]) && alltrue([
      for path in ["/v1/*", "/data", "/health", "/metrics", "/admin/*"] :
      contains(aws_cloudfront_distribution.this.ordered_cache_behavior[*].path_pattern, path)
    ])
    error_message = "What the API answers is never kept, and every path that the console calls leads there."
  }

  assert {
    condition = (
      aws_cloudfront_distribution.this.default_cache_behavior[0].viewer_protocol_policy == "redirect-to-https"
      && aws_cloudfront_distribution.this.default_cache_behavior[0].response_headers_policy_id == aws_cloudfront_response_headers_policy.console.id
    )
    error_message = "The page comes over TLS alone, with its security headers."
  }

  # The policy that a node sends, see query/src/api/console.rs.
  assert {
    condition     = strcontains(replace(file("../query/src/api/console.rs"), "/\\\\\\n\\s*/", ""), local.content_security_policy)
    error_message = "The page may load and call what it may as a node serves it."
  }

  assert {
    condition = (
      aws_cloudfront_response_headers_policy.console.security_headers_config[0].strict_transport_security[0].access_control_max_age_sec >= 31536000
      && aws_cloudfront_response_headers_policy.console.security_headers_config[0].frame_options[0].frame_option == "DENY"
      && aws_cloudfront_response_headers_policy.console.security_headers_config[0].content_type_options[0].override
    )
    error_message = "Browsers keep to TLS, and put the page into no frame."
  }

  assert {
    condition     = output.url == "https://mocked.cloudfront.net"
    error_message = "Without a domain the console is at CloudFront's own."
  }
}

run "a_domain_of_ones_own" {
  command = apply

  module {
    source = "./modules/console"
  }

  variables {
    domain          = "console.example.com"
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/mocked"
  }

  assert {
    condition = (
      aws_cloudfront_distribution.this.viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021"
      && aws_cloudfront_distribution.this.viewer_certificate[0].acm_certificate_arn == var.certificate_arn
      && aws_cloudfront_distribution.this.aliases == toset(["console.example.com"])
    )
    error_message = "With a domain of one's own TLS before 1.2 is refused."
  }

  assert {
    condition     = output.url == "https://console.example.com"
    error_message = "The console is at its domain."
  }
}
