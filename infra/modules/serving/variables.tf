variable "prefix" {
  description = "What names begin with: `<name>-<stage>`."
  type        = string
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

variable "stream" {
  description = "The stream that the gateway writes."
  type = object({
    name = string
    arn  = string
  })
}

variable "lake" {
  description = "What the query function asks: the lake's bucket, where its statements' results lie, the catalogue, the database and the workgroup."
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

variable "reports" {
  description = "The results of reports: their root as `url`, `bucket_arn` and `objects_arn` for a policy, and for how many `days` they are kept."
  type = object({
    url         = string
    bucket_arn  = string
    objects_arn = string
    days        = number
  })
}

variable "uploads" {
  description = "Where files are put, as `url`, `bucket_arn`, its `folder` and `objects_arn`, the `table` of what is known of each, and their `settings`; null: there are none."
  type = object({
    url         = string
    bucket_arn  = string
    folder      = string
    objects_arn = string

    table = object({
      name = string
      arn  = string
    })

    settings = object({
      max_megabytes       = number
      stored_megabytes    = number
      unfinished          = number
      unfinished_of_owner = number
      kept_days           = number
    })
  })
  default = null
}

variable "commit_lag" {
  description = "How long a commit message can wait at most: what a read cannot know to be in the lake."
  type        = string
}

variable "waiting_table" {
  description = "The table in which it is noted what waits to be put into the hot index."
  type = object({
    name = string
    arn  = string
  })
}

variable "on_destroy" {
  description = "`refuse` to destroy what holds data, or `delete` it."
  type        = string
}

variable "hot_margin" {
  description = "How much longer than its hot retention the transform keeps a chunk."
  type        = string
}

variable "sql_time" {
  description = "How long a read of records waits for the lake."
  type        = string
}

variable "requests_per_second" {
  description = "The most requests a second."
  type        = number
}

variable "request_burst" {
  description = "How many requests may come at once."
  type        = number
}

variable "cors_origins" {
  description = "Origins of web pages that may call the API."
  type        = list(string)
}

variable "auth" {
  description = "How tokens are checked."
  type = object({
    jwks_url      = string
    issuer        = string
    audience      = string
    role_claim    = string
    cache_seconds = number
  })
}

variable "secret_version" {
  description = "Changed to have a new signing secret made. 0: its value is put there by other hands."
  type        = number
}

variable "secret_recovery_days" {
  description = "How long a destroyed signing secret can be brought back."
  type        = number
}
