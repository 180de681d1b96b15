# The whole stack, along the path of one event: stream, transform, lake, and what serves the API.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  prefix = "${var.name}-${var.stage}"

  # What its metrics are told apart by: two stacks of one stage may live in one account and region.
  stage = var.name == "alluvium" ? var.stage : "${var.name}/${var.stage}"

  account = {
    id        = data.aws_caller_identity.current.account_id
    region    = data.aws_region.current.name
    partition = data.aws_partition.current.partition
  }

  bucket_suffix = "${local.account.id}-${local.account.region}"

  functions = {
    architecture     = var.architecture
    package_dir      = coalesce(var.package_dir, "${path.root}/../target/package/${var.architecture}")
    live_versions    = var.live_versions
    memory_megabytes = var.memory_megabytes
    log_days         = var.log_days
    tracing          = var.tracing == "on" ? "Active" : "PassThrough"
    network          = one(module.network[*].place)

    environment = {
      ALLUVIUM_STAGE     = local.stage
      ALLUVIUM_VERBOSITY = var.verbosity
      AWS_ENDPOINT_URL   = var.endpoint_url
    }
  }

  # A dataset's own columns are the outermost properties of its schema.
  datasets = {
    for file in fileset(var.datasets_dir, "*.json") :
    trimsuffix(file, ".json") => keys(jsondecode(file("${var.datasets_dir}/${file}")).properties)
  }
}

module "network" {
  source = "./modules/network"
  count  = var.network_cidr == null ? 0 : 1

  prefix  = local.prefix
  account = local.account
  cidr    = var.network_cidr
  zones   = var.network_zones
  # Without a way to its topic a commit would be told to nobody.
  more_endpoints = distinct(concat(var.network_endpoints, var.announce_commits ? ["sns"] : []))
}

# What asks Athena: the lake, where the answers lie, the catalogue and the workgroup.

locals {
  asked = {
    bucket_arn           = module.lake.bucket.arn
    data_files_arn       = module.lake.data_files_arn
    results_bucket_arn   = module.lake.results.arn
    results_arn          = module.lake.api.results_arn
    results_url          = module.lake.api.results_url
    catalog_arns         = module.lake.catalog_arns
    default_database_arn = module.lake.default_database_arn
    database             = module.lake.database
    workgroup            = module.lake.api.workgroup
    workgroup_arn        = module.lake.api.workgroup_arn
  }
}

module "stream" {
  source = "./modules/stream"

  prefix          = local.prefix
  shards          = var.stream_shards
  retention_hours = var.stream_hours
}

module "lake" {
  source = "./modules/lake"

  prefix                 = local.prefix
  bucket_suffix          = local.bucket_suffix
  account                = local.account
  functions              = local.functions
  datasets               = local.datasets
  commit_seconds         = var.commit_seconds
  commit_timeout_seconds = var.commit_timeout_seconds
  checkpoint_every       = var.checkpoint_every
  announce_commits       = var.announce_commits
  hot_table              = module.serving.hot_table
  on_destroy             = var.on_destroy
  undelete_days          = var.undelete_days
  sql_scan_megabytes     = var.sql_scan_megabytes
  sql_result_days        = var.sql_result_days
}

module "serving" {
  source = "./modules/serving"

  prefix    = local.prefix
  functions = local.functions
  stream    = { name = module.stream.name, arn = module.stream.arn }

  lake    = local.asked
  reports = module.reports.results
  uploads = one(module.uploads[*].asked)

  commit_lag           = module.lake.commit_lag
  waiting_table        = module.levelling.waiting_table
  on_destroy           = var.on_destroy
  hot_margin           = var.hot_margin
  sql_time             = var.sql_time
  requests_per_second  = var.requests_per_second
  request_burst        = var.request_burst
  cors_origins         = var.cors_origins
  auth                 = var.auth
  secret_version       = var.secret_version
  secret_recovery_days = var.secret_recovery_days
}

module "levelling" {
  source = "./modules/levelling"

  prefix                 = local.prefix
  functions              = local.functions
  lake_url               = module.lake.lake_url
  parcels_arn            = module.lake.parcels_arn
  hot_table              = module.serving.hot_table
  write_units_per_second = var.hot_write_units_per_second
  on_destroy             = var.on_destroy
}

module "reports" {
  source = "./modules/reports"

  prefix         = local.prefix
  bucket_suffix  = local.bucket_suffix
  account        = local.account
  functions      = local.functions
  reports        = [for file in fileset(var.reports_dir, "*.sql") : trimsuffix(file, ".sql")]
  report_minutes = var.report_minutes
  report_days    = var.report_days
  on_destroy     = var.on_destroy
  lake           = local.asked
}

module "transform" {
  source = "./modules/transform"

  prefix               = local.prefix
  bucket_suffix        = local.bucket_suffix
  account              = local.account
  functions            = local.functions
  stream_arn           = module.stream.arn
  lake_url             = module.lake.lake_url
  data_files_arn       = module.lake.data_files_arn
  commit_queue         = module.lake.commit_queue
  hot_table            = module.serving.hot_table
  hot_buffer           = module.levelling.buffer
  waiting_table        = module.levelling.waiting_table
  delivery             = var.delivery
  buffer_seconds       = var.buffer_seconds
  buffer_megabytes     = var.buffer_megabytes
  raw_backup_days      = var.raw_backup_days
  on_destroy           = var.on_destroy
  owner                = var.owner
  default_dataset      = var.default_dataset
  hot_margin           = var.hot_margin
  pseudonym_secret_arn = var.pseudonym_secret_arn
}

module "watch" {
  source = "./modules/watch"

  prefix         = local.prefix
  stage          = local.stage
  account        = local.account
  stream_name    = module.stream.name
  delivery_name  = module.transform.delivery_name
  source_backup  = var.raw_backup_days > 0 ? "kept" : "none"
  buffer_seconds = var.buffer_seconds
  landing        = module.transform.landing.name
  commit_queue   = { name = module.lake.commit_queue.name, dead_name = module.lake.commit_dead_letter_queue.name }
  hot_table      = module.serving.hot_table.name
  hot_buffer     = { name = module.levelling.buffer.name, dead_name = module.levelling.buffer_dead_letter_queue.name }
  uploads        = one([for module in module.uploads : { name = module.queue.name, dead_name = module.dead_letter_queue.name }])
  # A cron expression may mean any day: no alarm then tells that there was no audit.
  audits           = var.maintain.enabled && can(regex("^rate\\((1 day|1 hour|[1-9][0-9]* minutes?|([2-9]|1[0-9]|2[0-4]) hours)\\)$", var.maintain.audit)) ? "daily" : "seldom"
  maintenance_dead = module.maintain.failed_queue.name
  announces        = var.announce_commits ? "on" : "off"
  reports          = length(fileset(var.reports_dir, "*.sql")) > 0 ? "scheduled" : "none"
  direct_api       = one(module.direct[*].api)
  api_id           = module.serving.api.id
  workgroup        = module.lake.workgroup.name
  alarms           = var.alarms
  emails           = var.alarm_emails
  without          = var.alarms_without
  thresholds       = var.alarm_thresholds
  bus_arn          = var.alarm_bus_arn

  functions = {
    for key, function in local.every_function : key => {
      name             = function.name
      timeout_seconds  = function.timeout_seconds
      memory_megabytes = function.memory_megabytes
    }
  }
}

module "direct" {
  source = "./modules/direct"
  count  = var.direct_route ? 1 : 0

  prefix              = local.prefix
  account             = local.account
  stream              = { name = module.stream.name, arn = module.stream.arn }
  datasets            = toset(keys(local.datasets))
  cache_seconds       = var.auth.cache_seconds
  requests_per_second = var.requests_per_second
  request_burst       = var.request_burst
  log_requests        = var.direct_route_log
  log_days            = var.log_days

  authorizer = {
    name            = module.serving.functions.authorizer.name
    live_invoke_arn = module.serving.functions.authorizer.live_invoke_arn
  }
}

module "console" {
  source = "./modules/console"
  count  = var.console ? 1 : 0

  prefix          = local.prefix
  bucket_suffix   = local.bucket_suffix
  account         = local.account
  files_dir       = "${path.root}/../query/console"
  api_url         = module.serving.api.url
  domain          = var.console_domain
  certificate_arn = var.console_certificate_arn
}

module "maintain" {
  source = "./modules/maintain"

  prefix    = local.prefix
  functions = local.functions
  settings  = var.maintain

  lake = {
    url        = module.lake.lake_url
    bucket_arn = module.lake.bucket.arn
    folder_arn = module.lake.folder_arn
    tables     = module.lake.tables
    commit_lag = module.lake.commit_lag
  }

  # In a network of ours CloudWatch is reached by an endpoint alone, which costs by the hour: only where the stage has it.
  counted = var.network_cidr != null && !contains(var.network_endpoints, "monitoring") ? null : {
    stream         = module.stream.name
    delivery       = module.transform.delivery_name
    buffer_seconds = var.buffer_seconds
  }

  erased = {
    hot_table    = module.serving.hot_table
    landing      = module.transform.landing
    stream_hours = var.stream_hours
  }
}

# What other stacks need, where they can look it up.

locals {
  shared = merge({
    api_url        = module.serving.api.url
    stream_name    = module.stream.name
    stream_arn     = module.stream.arn
    lake_url       = module.lake.lake_url
    database       = module.lake.database
    workgroup      = module.lake.workgroup.name
    hot_table      = module.serving.hot_table.name
    hot_waiting    = module.levelling.waiting_table.name
    hot_buffer     = module.levelling.buffer.url
    hot_dead       = module.levelling.buffer_dead_letter_queue.url
    commit_queue   = module.lake.commit_queue.url
    commits_dead   = module.lake.commit_dead_letter_queue.url
    landing        = module.transform.landing.name
    signing_secret = module.serving.signing_secret_arn
  }, local.uploads_parameters, { for key, module in { direct_url = module.direct, console_url = module.console } : key => module[0].url if length(module) > 0 })
}

resource "aws_ssm_parameter" "shared" {
  #checkov:skip=CKV2_AWS_34:Names and addresses, none of them secret: the secret itself is in Secrets Manager.
  for_each = local.shared

  name        = "/${var.name}/${var.stage}/${each.key}"
  description = "${local.prefix}: ${each.key}"
  type        = "String"
  value       = each.value

  # A put whose answer was lost is sent again by the provider, and finds its own.
  overwrite = true
}
