# Files in, where `uploads` has them enabled.

variable "uploads" {
  description = <<-EOT
    Files of events: docs/uploads.md. `enabled`: whether there are any. `max_megabytes`: of a file as it is put; `expanded_megabytes`: after
    gzip or zstd; `stored_megabytes`: of all that are not loaded yet. `unfinished`, `unfinished_of_owner`: how many may wait for their file or to
    be loaded. `kept_days`: how long it is remembered what became of one. `kilobytes_per_second`: how fast they are put into the stream, all
    together; not set: half of what the stream takes.
  EOT
  type = object({
    enabled              = optional(bool, true)
    max_megabytes        = optional(number, 1024)
    expanded_megabytes   = optional(number, 16384)
    stored_megabytes     = optional(number, 8192)
    unfinished           = optional(number, 256)
    unfinished_of_owner  = optional(number, 16)
    kept_days            = optional(number, 7)
    kilobytes_per_second = optional(number)
  })
  default = {}

  validation {
    condition = alltrue([
      for value in [
        var.uploads.max_megabytes, var.uploads.expanded_megabytes, var.uploads.stored_megabytes, var.uploads.unfinished,
        var.uploads.unfinished_of_owner, var.uploads.kept_days,
      ] : value >= 1 && floor(value) == value
    ])
    error_message = "The limits of uploads must be whole numbers, 1 at least."
  }

  validation {
    # 5 GB in one put: Amazon Simple Storage Service User Guide, "Uploading objects".
    condition     = var.uploads.max_megabytes <= 4768
    error_message = "uploads.max_megabytes must be at most 4768: S3 takes 5 GB by one link."
  }

  validation {
    condition     = var.uploads.stored_megabytes >= var.uploads.max_megabytes
    error_message = "uploads.stored_megabytes must be at least uploads.max_megabytes: no file of that size would fit."
  }

  validation {
    condition     = var.uploads.unfinished <= 10000 && var.uploads.unfinished_of_owner <= 10000
    error_message = "uploads.unfinished and uploads.unfinished_of_owner must be at most 10000."
  }

  validation {
    condition     = var.uploads.kilobytes_per_second == null || try(var.uploads.kilobytes_per_second >= 16, false)
    error_message = "uploads.kilobytes_per_second must be 16 at least."
  }
}

locals {
  # Half, so that what comes in otherwise has its share. A shard takes 1 MB a second, a new stream on demand 4 MB (Amazon Kinesis Data Streams
  # Developer Guide, "Choose the right mode to stream in Kinesis Data Streams").
  half_of_the_stream = (var.stream_shards == 0 ? 4 : var.stream_shards) * 1024 / 2
}

locals {
  # What commands look up, and other stacks.
  uploads_parameters = merge([
    for module in module.uploads : {
      uploads_dead  = module.dead_letter_queue.url
      uploads_url   = module.asked.url
      uploads_table = module.asked.table.name
    }
  ]...)
}

module "uploads" {
  source = "./modules/uploads"
  count  = var.uploads.enabled ? 1 : 0

  prefix        = local.prefix
  bucket_suffix = local.bucket_suffix
  account       = local.account
  functions     = local.functions
  stream        = { name = module.stream.name, arn = module.stream.arn }
  cors_origins  = var.cors_origins
  on_destroy    = var.on_destroy

  settings = merge(var.uploads, { kilobytes_per_second = coalesce(var.uploads.kilobytes_per_second, local.half_of_the_stream) })
}

output "uploads_bucket" {
  description = "The bucket that files are put into; null without uploads."
  value       = one(module.uploads[*].bucket)
}

output "uploads_queue_url" {
  description = "The queue that S3 tells of files; null without uploads."
  value       = one(module.uploads[*].queue.url)
}

output "uploads_dead_letter_queue_url" {
  description = "Where messages end whose files could not be loaded; null without uploads."
  value       = one(module.uploads[*].dead_letter_queue.url)
}
