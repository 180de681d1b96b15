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

variable "lake_url" {
  description = "Where the tables are; what waits lies in a folder beside them."
  type        = string
}

variable "parcels_arn" {
  description = "The objects of what waits, for a policy."
  type        = string
}

variable "hot_table" {
  description = "The table of the hot index: `name` and `arn`."
  type = object({
    name = string
    arn  = string
  })
}

variable "write_units_per_second" {
  description = "How fast what waits is written at most, in write units of DynamoDB."
  type        = number
}

variable "on_destroy" {
  description = "`refuse` to destroy what holds data, or `delete` it."
  type        = string
}
