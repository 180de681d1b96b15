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

variable "lake" {
  description = "The lake: its `url`, its bucket and the folder in it, the `tables` by name, and how long a commit message can wait (`commit_lag`)."
  type = object({
    url        = string
    bucket_arn = string
    folder_arn = string
    tables     = list(string)
    commit_lag = string
  })
}

variable "erased" {
  description = "What erasures reach beside the lake: the `hot_table`, the `landing` bucket, and for how many hours the stream keeps records."
  type = object({
    hot_table    = object({ name = string, arn = string })
    landing      = object({ name = string, arn = string })
    stream_hours = number
  })
}

variable "counted" {
  description = "Whose counts the audit holds the ledger against: the Kinesis `stream`, the Firehose stream that reads it (`delivery`, null: none), and for how long that gathers records. Null: none are asked."
  type = object({
    stream         = string
    delivery       = string
    buffer_seconds = number
  })
  default = null
}

variable "settings" {
  description = "How the lake is maintained, see `maintain` of the root."
  type = object({
    enabled               = bool
    compact               = string
    compact_within        = string
    retain                = string
    vacuum                = string
    audit                 = string
    erasures              = string
    compact_files         = number
    round_megabytes       = number
    sort_megabytes        = number
    disk_megabytes        = number
    timeout_seconds       = number
    dead_letter_retention = string
    reserved_concurrency  = number
  })
}
