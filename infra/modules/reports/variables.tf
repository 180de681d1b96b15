variable "prefix" {
  description = "What names begin with: `<name>-<stage>`."
  type        = string
}

variable "bucket_suffix" {
  description = "What makes bucket names unique: account and region."
  type        = string
}

variable "account" {
  description = "The account's `id`, `region` and `partition`."
  type = object({
    id        = string
    region    = string
    partition = string
  })
}

variable "functions" {
  description = "What functions share, see the module `function`."
  type = object({
    architecture     = string
    package_dir      = string
    live_versions    = map(string)
    memory_megabytes = map(number)
    log_days         = number
    environment      = map(string)
    tracing          = optional(string, "Active")

    # Null: outside of any network of ours.
    network = optional(object({
      subnet_ids         = list(string)
      security_group_ids = list(string)
    }))
  })
}

variable "reports" {
  description = "The names of the reports in the function's zip."
  type        = list(string)
}

variable "report_minutes" {
  description = "How often it is looked whether a report is due."
  type        = number
}

variable "report_days" {
  description = "How long results are kept."
  type        = number
}

variable "on_destroy" {
  description = "`refuse` to destroy what holds data, or `delete` it."
  type        = string
}

variable "lake" {
  description = "What reports ask: as the query function's."
  type = object({
    bucket_arn           = string
    data_files_arn       = string
    results_bucket_arn   = string
    results_arn          = string
    results_url          = string
    catalog_arns         = list(string)
    default_database_arn = string
    database             = string
    workgroup            = string
    workgroup_arn        = string
  })
}
