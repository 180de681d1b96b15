# The console: its files in a bucket that CloudFront alone reads, and the API under the same address, so that no page of another origin
# is let in for it.

locals {
  api     = "api"
  console = "console"

  # Amazon CloudFront Developer Guide, "Use managed cache policies" and "Use managed origin request policies".
  caching_optimized             = "658327ea-f89d-4fab-a63d-7e88639e58f6"
  caching_disabled              = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
  all_viewer_except_host_header = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
  api_paths                     = ["/v1/*", "/data", "/health", "/metrics", "/admin/*", "/openapi.json"]
  content_types                 = { html = "text/html; charset=utf-8", css = "text/css; charset=utf-8", js = "text/javascript; charset=utf-8" }
  content_security_policy       = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
  has_domain                    = var.domain != null
  files                         = fileset(var.files_dir, "*")
}

module "bucket" {
  source = "../bucket"

  name       = "${var.prefix}-console-${var.bucket_suffix}"
  on_destroy = "delete"

  statements = [{
    Sid       = "CloudFrontReads"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = "s3:GetObject"
    Resource  = "arn:${var.account.partition}:s3:::${var.prefix}-console-${var.bucket_suffix}/*"
    Condition = { StringEquals = { "aws:SourceArn" = aws_cloudfront_distribution.this.arn } }
  }]
}

# The page lies at the root and names the rest as console/….
resource "aws_s3_object" "file" {
  #checkov:skip=CKV_AWS_186:Encrypted by the bucket's own rule; the files are public source code.
  for_each = local.files

  bucket        = module.bucket.name
  key           = each.key == "index.html" ? each.key : "console/${each.key}"
  source        = "${var.files_dir}/${each.key}"
  source_hash   = filemd5("${var.files_dir}/${each.key}")
  content_type  = local.content_types[reverse(split(".", each.key))[0]]
  cache_control = "no-cache"
}

resource "aws_cloudfront_origin_access_control" "this" {
  name                              = "${var.prefix}-console"
  description                       = "CloudFront signs what it asks of the bucket."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_response_headers_policy" "console" {
  #checkov:skip=CKV_AWS_259:A year, without subdomains and without the browsers' own list: both are the domain's owner to decide.
  name    = "${var.prefix}-console"
  comment = "What a page of the console may load and call: what comes from where it came from."

  security_headers_config {
    content_security_policy {
      content_security_policy = local.content_security_policy
      override                = true
    }

    strict_transport_security {
      access_control_max_age_sec = 365 * 24 * 3600
      include_subdomains         = false
      override                   = true
    }

    content_type_options {
      override = true
    }

    frame_options {
      frame_option = "DENY"
      override     = true
    }

    referrer_policy {
      referrer_policy = "no-referrer"
      override        = true
    }
  }
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV_AWS_68:A firewall by rules costs by rule and request, and is the operator's to add; every route of the API but /health asks for a token.
  #checkov:skip=CKV2_AWS_47:As above.
  #checkov:skip=CKV_AWS_86:The API logs its requests; who loads the page tells nothing.
  #checkov:skip=CKV_AWS_310:One bucket, one API: there is nothing to fail over to.
  #checkov:skip=CKV_AWS_374:Where an operator sits is not ours to restrict.
  #checkov:skip=CKV_AWS_174:TLS 1.2 where there is a domain and its certificate; CloudFront's own certificate knows no minimum.
  #checkov:skip=CKV2_AWS_42:As above: a domain is the operator's to have.
  #checkov:skip=CKV2_AWS_46:The bucket's origin has an access control; that of the API is no bucket.
  enabled             = true
  comment             = "${var.prefix}: the console, and the API under the same address."
  default_root_object = "index.html"
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  price_class         = "PriceClass_100"
  aliases             = local.has_domain ? [var.domain] : []

  origin {
    origin_id                = local.console
    domain_name              = module.bucket.domain
    origin_access_control_id = aws_cloudfront_origin_access_control.this.id
  }

  origin {
    origin_id   = local.api
    domain_name = trimprefix(var.api_url, "https://")

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
      # As long as API Gateway itself waits.
      origin_read_timeout = 30
    }
  }

  default_cache_behavior {
    target_origin_id           = local.console
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    viewer_protocol_policy     = "redirect-to-https"
    compress                   = true
    cache_policy_id            = local.caching_optimized
    response_headers_policy_id = aws_cloudfront_response_headers_policy.console.id
  }

  dynamic "ordered_cache_behavior" {
    for_each = local.api_paths

    content {
      path_pattern             = ordered_cache_behavior.value
      target_origin_id         = local.api
      allowed_methods          = ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"]
      cached_methods           = ["GET", "HEAD"]
      viewer_protocol_policy   = "https-only"
      compress                 = true
      cache_policy_id          = local.caching_disabled
      origin_request_policy_id = local.all_viewer_except_host_header
      # The same headers: a reader's own data must be no page of anybody.
      response_headers_policy_id = aws_cloudfront_response_headers_policy.console.id
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = local.has_domain ? null : true
    acm_certificate_arn            = var.certificate_arn
    ssl_support_method             = local.has_domain ? "sni-only" : null
    minimum_protocol_version       = local.has_domain ? "TLSv1.2_2021" : null
  }
}

output "url" {
  description = "The console's address."
  value       = "https://${local.has_domain ? var.domain : aws_cloudfront_distribution.this.domain_name}"
}

output "distribution_domain" {
  description = "What the domain's record points to."
  value       = aws_cloudfront_distribution.this.domain_name
}
