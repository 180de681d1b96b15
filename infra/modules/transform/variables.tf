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

variable "stream_arn" {
  description = "The stream to deliver."
  type        = string
}

variable "lake_url" {
  description = "Where the tables are."
  type        = string
}

variable "data_files_arn" {
  description = "What data files and commit messages are, for a policy."
  type        = string
}

variable "commit_queue" {
  description = "The commit queue."
  type = object({
    url = string
    arn = string
  })
}

variable "hot_table" {
  description = "The table of the hot index."
  type = object({
    name = string
    arn  = string
  })
}

variable "hot_buffer" {
  description = "The queue of chunks that the hot index does not take in time."
  type = object({
    url = string
    arn = string
  })
}

variable "waiting_table" {
  description = "The table in which it is noted what waits in it."
  type = object({
    name = string
    arn  = string
  })
}

variable "delivery" {
  description = "`firehose`, or `external`: nothing here reads the stream."
  type        = string
}

variable "buffer_seconds" {
  description = "How long Firehose gathers records before it calls the transform."
  type        = number
}

variable "buffer_megabytes" {
  description = "How much Firehose gathers at most."
  type        = number
}

variable "raw_backup_days" {
  description = "How long every record is kept as it came in; 0: not kept."
  type        = number
}

variable "on_destroy" {
  description = "`refuse` to destroy what holds data, or `delete` it."
  type        = string
}

variable "owner" {
  description = "Whose data it is that is put straight into the stream."
  type        = string
}

variable "default_dataset" {
  description = "Where events go that nothing sends anywhere; null: dead letters."
  type        = string
}

variable "hot_margin" {
  description = "How much longer than its hot retention a chunk is kept."
  type        = string
}

variable "pseudonym_secret_arn" {
  description = "The secret that holds the key of pseudonyms; null: none."
  type        = string
}
