# The three functions behind the HTTP API.

locals {
  # API Gateway waits 30 seconds at most; a function that ends before says itself what went wrong.
  timeout_seconds = 29
}

# What the gateway may do about uploads. A link that it signs has its rights: to put content, and nothing else.
locals {
  upload_statements = flatten([for uploads in var.uploads[*] : [
    {
      # What has arrived.
      actions   = ["s3:ListBucket"]
      resources = [uploads.bucket_arn]
      under     = "${uploads.folder}/"
    },
    {
      actions   = ["s3:PutObject", "s3:DeleteObject"]
      resources = [uploads.objects_arn]
    },
    {
      actions   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]
      resources = [uploads.table.arn]
    },
    {
      actions   = ["dynamodb:Query"]
      resources = ["${uploads.table.arn}/index/owners", "${uploads.table.arn}/index/all"]
    },
  ]])

  upload_environment = var.uploads == null ? {} : {
    ALLUVIUM_UPLOADS__BUCKET              = var.uploads.url
    ALLUVIUM_UPLOADS__TABLE               = var.uploads.table.name
    ALLUVIUM_UPLOADS__MAX_BYTES           = tostring(var.uploads.settings.max_megabytes * 1024 * 1024)
    ALLUVIUM_UPLOADS__STORED_BYTES        = tostring(var.uploads.settings.stored_megabytes * 1024 * 1024)
    ALLUVIUM_UPLOADS__UNFINISHED          = tostring(var.uploads.settings.unfinished)
    ALLUVIUM_UPLOADS__UNFINISHED_OF_OWNER = tostring(var.uploads.settings.unfinished_of_owner)
    ALLUVIUM_UPLOADS__KEPT                = "${var.uploads.settings.kept_days}d"
  }
}

module "gateway" {
  source = "../function"

  prefix          = var.prefix
  name            = "gateway"
  description     = "Takes events over HTTP and puts them into the stream, and says where files of them are to be put."
  settings        = var.functions
  timeout_seconds = local.timeout_seconds

  environment = merge(local.upload_environment, {
    ALLUVIUM_STREAM__NAME = var.stream.name
    # An invocation takes 6 MB, in which a body that is not text is base64: a third longer. One that is, such as JSON that is not compressed, stands
    # there as a text of JSON, in which each quote and backslash takes two bytes: with very many of them AWS refuses it before this limit does.
    ALLUVIUM_LIMITS__BODY_BYTES = tostring(4 * 1024 * 1024)
  })

  statements = concat(local.upload_statements, [{
    actions   = ["kinesis:PutRecords"]
    resources = [var.stream.arn]
  }])
}

module "query" {
  source = "../function"

  prefix          = var.prefix
  name            = "query"
  description     = "Answers reads of records from the hot index and the lake, and runs statements."
  settings        = var.functions
  timeout_seconds = local.timeout_seconds

  environment = {
    ALLUVIUM_HOT__TABLE      = aws_dynamodb_table.hot.name
    ALLUVIUM_HOT__MARGIN     = var.hot_margin
    ALLUVIUM_HOT__WAITING    = var.waiting_table.name
    ALLUVIUM_COMMIT__LAG     = var.commit_lag
    ALLUVIUM_SQL__DATABASE   = var.lake.database
    ALLUVIUM_SQL__WORKGROUP  = var.lake.workgroup
    ALLUVIUM_SQL__RESULTS    = var.lake.results_url
    ALLUVIUM_SQL__TIME       = var.sql_time
    ALLUVIUM_REPORTS__BUCKET = var.reports.url
    ALLUVIUM_REPORTS__KEPT   = "${var.reports.days}d"
    # What `GET /openapi.json` tells of.
    ALLUVIUM_API__ROUTES = jsonencode(keys(local.routes))
  }

  statements = [
    {
      actions   = ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"]
      resources = [aws_dynamodb_table.hot.arn, "${aws_dynamodb_table.hot.arn}/index/puts"]
    },
    {
      actions   = ["dynamodb:Query"]
      resources = [var.waiting_table.arn]
    },
    {
      actions = [
        "athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution",
      ]
      resources = [var.lake.workgroup_arn]
    },
    {
      actions   = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartitions"]
      resources = var.lake.catalog_arns
    },
    {
      actions   = ["glue:GetDatabase"]
      resources = [var.lake.default_database_arn]
    },
    {
      # Athena reads the tables, and reads and writes results, with the rights of whoever asks.
      actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
      resources = [var.lake.bucket_arn, var.lake.results_bucket_arn, var.reports.bucket_arn]
    },
    {
      # A URL that the function signs has its rights: a result's files are read by their version.
      actions   = ["s3:GetObject", "s3:GetObjectVersion"]
      resources = [var.lake.data_files_arn, var.reports.objects_arn]
    },
    {
      actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
      resources = [var.lake.results_arn]
    },
  ]
}

module "authorizer" {
  source = "../function"

  prefix      = var.prefix
  name        = "authorizer"
  description = "Says whether a token may call a route, and whose data it is about."
  # The keys of an identity provider are on the internet, to which a network of ours has no way; the function sees tokens and no data.
  settings        = merge(var.functions, { network = var.auth.jwks_url == null ? var.functions.network : null })
  timeout_seconds = 10

  environment = {
    # Where the secret is, never the secret.
    ALLUVIUM_AUTH__SECRET     = "secret:${aws_secretsmanager_secret.signing.arn}"
    ALLUVIUM_AUTH__JWKS_URL   = var.auth.jwks_url
    ALLUVIUM_AUTH__ISSUER     = var.auth.issuer
    ALLUVIUM_AUTH__AUDIENCE   = var.auth.audience
    ALLUVIUM_AUTH__ROLE_CLAIM = var.auth.role_claim
    # A function reads its secret when it starts, so another secret has to make another version of it.
    SIGNING_VERSION = one(terraform_data.signing[*].id)
  }

  statements = [{
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.signing.arn]
  }]
}
