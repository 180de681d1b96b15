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

variable "datasets" {
  description = "The datasets, each with the names of its own columns."
  type        = map(list(string))
}

variable "commit_seconds" {
  description = "How long commit messages are gathered."
  type        = number
}

variable "commit_timeout_seconds" {
  description = "How long one invocation of the commit function may take."
  type        = number
}

variable "checkpoint_every" {
  description = "A Delta checkpoint is written every so many commits of a table."
  type        = number
}

variable "announce_commits" {
  description = "Whether an SNS topic is told of each commit."
  type        = bool
}

variable "hot_table" {
  description = "The hot index: `name` and `arn`."
  type = object({
    name = string
    arn  = string
  })
}

variable "on_destroy" {
  description = "`refuse` to destroy what holds data, or `delete` it."
  type        = string
}

variable "undelete_days" {
  description = "How long removed objects of the lake can be brought back."
  type        = number
}

variable "sql_scan_megabytes" {
  description = "The most that one statement may scan."
  type        = number
}

variable "sql_result_days" {
  description = "How long results of statements are kept."
  type        = number
}
