variable "prefix" {
  description = "What names begin with: `<name>-<stage>`."
  type        = string
}

variable "name" {
  description = "The function's name within the stage, also that of its zip."
  type        = string
}

variable "description" {
  description = "What the function does, for people."
  type        = string
}

variable "settings" {
  description = "What functions share: `architecture`, `package_dir`, `live_versions`, `memory_megabytes`, `log_days`, `environment` for all, `tracing`: `Active`, or `PassThrough`, and the `network` they are in."
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

variable "timeout_seconds" {
  description = "How long one invocation may take."
  type        = number
}

variable "environment" {
  description = "The function's own variables. Null: left out."
  type        = map(string)
}

variable "statements" {
  description = "What the function may do, beside writing its log: actions on resources; `under` holds a listing to keys that begin so."
  type = list(object({
    actions   = list(string)
    resources = list(string)
    under     = optional(string)
  }))
}

variable "disk_megabytes" {
  description = "The disk at /tmp, 512 to 10240."
  type        = number
  default     = 512
}

variable "reserved_concurrency" {
  description = "So many invocations at a time are kept for it, and no more may run. -1: none are, and any number may."
  type        = number
  default     = -1
}
