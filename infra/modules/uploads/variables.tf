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

variable "stream" {
  description = "The stream that files are loaded into."
  type = object({
    name = string
    arn  = string
  })
}

variable "settings" {
  description = "Limits, and how fast all instances together put events into the stream: `uploads` of the whole stack."
  type = object({
    max_megabytes        = number
    expanded_megabytes   = number
    stored_megabytes     = number
    unfinished           = number
    unfinished_of_owner  = number
    kept_days            = number
    kilobytes_per_second = number
  })
}

variable "cors_origins" {
  description = "Origins of web pages that may put files."
  type        = list(string)
}

variable "on_destroy" {
  description = "`refuse` to destroy what holds data, or `delete` it."
  type        = string
}
