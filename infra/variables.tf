# What is deployed, and where.

variable "stage" {
  description = "Which of several deployments this is, such as `dev` or `prod`. Part of every name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,15}$", var.stage)) && !endswith(var.stage, "-")
    error_message = "stage must be 1 to 16 of a-z, 0-9 and -, beginning with a letter and not ending in -, such as \"dev\"."
  }
}

variable "name" {
  description = "What every name begins with. Another one lets two stacks of the same stage live in one account and region."
  type        = string
  default     = "alluvium"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.name))
    error_message = "name must be 2 to 10 of a-z and 0-9, beginning with a letter: bucket names have room for no more."
  }
}

variable "region" {
  description = "The region. Not set: the one of the credentials' profile or AWS_REGION."
  type        = string
  default     = null

  validation {
    condition     = var.region == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region's name, such as \"eu-west-1\"."
  }
}

variable "endpoint_url" {
  description = "Send every call of Terraform and of the functions to this address instead of to AWS: an emulator's."
  type        = string
  default     = null

  validation {
    condition     = var.endpoint_url == null || can(regex("^https?://[^/]+$", var.endpoint_url))
    error_message = "endpoint_url must be a scheme and host without a path, such as \"http://127.0.0.1:4566\"."
  }
}

variable "tags" {
  description = "Further tags for every resource, beside `application` and `stage`."
  type        = map(string)
  default     = {}
}

variable "architecture" {
  description = "What the functions are built for: `arm64` (a fifth cheaper on Lambda) or `x86_64`."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be \"arm64\" or \"x86_64\"."
  }
}

variable "package_dir" {
  description = "The folder of the functions' zips, one `<function>.zip` each. Not set: where `make package` puts them."
  type        = string
  default     = null
}

variable "datasets_dir" {
  description = "The folder of the schemas that travel in the zips; each becomes a table and a view in Athena."
  type        = string
  default     = "../datasets"

  validation {
    condition = length(fileset(var.datasets_dir, "*.json")) > 0 && alltrue([
      for file in fileset(var.datasets_dir, "*.json") : can(regex("^[a-z][a-z0-9_]{0,63}\\.json$", file))
    ])
    error_message = "datasets_dir must hold at least one schema, and each file must be named <dataset>.json: 1 to 64 of a-z, 0-9 and _, beginning with a letter."
  }
}

variable "live_versions" {
  description = "Which published version each function's alias `live` stands at, such as `{ transform = \"12\" }`: a rollback. Not named: the newest."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name, version in var.live_versions :
      contains(["transform", "commit", "gateway", "query", "authorizer", "report"], name) && can(regex("^[1-9][0-9]*$", version))
    ])
    error_message = "live_versions must map transform, commit, gateway, query, authorizer or report to a version's number, such as { transform = \"12\" }."
  }
}

variable "memory_megabytes" {
  description = "Memory of each function. CPU grows with it: 1,769 MB is one whole core."
  type = object({
    transform  = optional(number, 512)
    commit     = optional(number, 1024)
    gateway    = optional(number, 256)
    query      = optional(number, 512)
    authorizer = optional(number, 128)
    report     = optional(number, 1024)
  })
  default = {}

  validation {
    condition     = alltrue([for megabytes in values(var.memory_megabytes) : megabytes >= 128 && megabytes <= 10240])
    error_message = "memory_megabytes must lie between 128 and 10240 for each function."
  }
}

variable "verbosity" {
  description = "What the functions log: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,alluvium_aws=debug`."
  type        = string
  default     = "info"
}

variable "log_days" {
  description = "How long logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "log_days must be one of CloudWatch's: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "on_destroy" {
  description = "What `terraform destroy` does about stored data: `refuse` while there is any, or `delete` it."
  type        = string
  default     = "refuse"

  validation {
    condition     = contains(["refuse", "delete"], var.on_destroy)
    error_message = "on_destroy must be \"refuse\" or \"delete\"."
  }
}

# The stream, and how it is delivered.

variable "stream_shards" {
  description = "Shards of the stream: 1 MB and 1,000 records a second each. 0: on demand, which costs more while idle and grows by itself."
  type        = number
  default     = 1

  validation {
    condition     = var.stream_shards >= 0 && var.stream_shards <= 200 && floor(var.stream_shards) == var.stream_shards
    error_message = "stream_shards must be a whole number from 0 (on demand) to 200."
  }
}

variable "stream_hours" {
  description = "How long the stream keeps records: how long an audit can prove completeness, and a stopped delivery catch up."
  type        = number
  default     = 24

  validation {
    condition     = var.stream_hours >= 24 && var.stream_hours <= 8760
    error_message = "stream_hours must lie between 24 and 8760 (a year)."
  }
}

variable "delivery" {
  description = "Who reads the stream and calls the transform: `firehose`, or `external`, a loop of one's own that keeps to Firehose's contract."
  type        = string
  default     = "firehose"

  validation {
    condition     = contains(["firehose", "external"], var.delivery)
    error_message = "delivery must be \"firehose\" or \"external\"."
  }
}

variable "buffer_seconds" {
  description = "How long Firehose gathers records before it calls the transform: freshness against the number of files, see docs/aws.md."
  type        = number
  default     = 5

  validation {
    condition     = var.buffer_seconds >= 0 && var.buffer_seconds <= 900 && floor(var.buffer_seconds) == var.buffer_seconds
    error_message = "buffer_seconds must be a whole number from 0 to 900."
  }
}

variable "buffer_megabytes" {
  description = "How much Firehose gathers at most. Base64 and metadata multiply small records: more than the default can exceed the 6 MB of an invocation."
  type        = number
  default     = 1

  validation {
    condition     = var.buffer_megabytes >= 0.2 && var.buffer_megabytes <= 3
    error_message = "buffer_megabytes must lie between 0.2 and 3."
  }
}

variable "raw_backup_days" {
  description = "How long every record is kept as it came in, the way back from a fault in the transform. 0: not kept."
  type        = number
  default     = 7

  validation {
    condition     = var.raw_backup_days >= 0 && var.raw_backup_days <= 3650 && floor(var.raw_backup_days) == var.raw_backup_days
    error_message = "raw_backup_days must be a whole number from 0 (no backup) to 3650."
  }
}

# What becomes of events.

variable "owner" {
  description = "Whose data it is that is put straight into the stream, without the gateway."
  type        = string
  default     = "anonymous"

  validation {
    condition     = length(var.owner) > 0
    error_message = "owner must not be empty; name whose data it is, such as \"anonymous\"."
  }
}

variable "default_dataset" {
  description = "Where events go that neither a route nor their `type` sends anywhere. Not set: they become dead letters."
  type        = string
  default     = null
}

variable "pseudonym_secret_arn" {
  description = "A secret in Secrets Manager that holds the key of pseudonyms. Needed when a dataset pseudonymises properties."
  type        = string
  default     = null

  validation {
    condition     = var.pseudonym_secret_arn == null || can(regex("^arn:[^:]+:secretsmanager:[^:]+:[0-9]{12}:secret:.+$", var.pseudonym_secret_arn))
    error_message = "pseudonym_secret_arn must be the ARN of a secret in Secrets Manager."
  }
}

# The lake.

variable "commit_seconds" {
  description = "How long commit messages are gathered before the commit function takes them: how often the tables gain a version at most."
  type        = number
  default     = 2

  validation {
    condition     = var.commit_seconds >= 1 && var.commit_seconds <= 300
    error_message = "commit_seconds must lie between 1 and 300."
  }
}

variable "commit_timeout_seconds" {
  description = "How long one invocation of the commit function may take. What it could not do is tried again after six times as long."
  type        = number
  default     = 60

  validation {
    condition     = var.commit_timeout_seconds >= 5 && var.commit_timeout_seconds <= 900
    error_message = "commit_timeout_seconds must lie between 5 and 900."
  }
}

variable "checkpoint_every" {
  description = "A Delta checkpoint is written every so many commits of a table."
  type        = number
  default     = 100

  validation {
    condition     = var.checkpoint_every >= 1
    error_message = "checkpoint_every must be at least 1."
  }
}

variable "undelete_days" {
  description = "How long objects of the lake can be brought back after they were removed, by vacuum and by erasure too. 0: not at all."
  type        = number
  default     = 7

  validation {
    condition     = var.undelete_days >= 0 && floor(var.undelete_days) == var.undelete_days
    error_message = "undelete_days must be a whole number, 0 or more."
  }
}

variable "hot_margin" {
  description = "How much longer than its hot retention a chunk of the hot index is kept, to cover the lag of commits."
  type        = string
  default     = "1h"

  validation {
    condition     = can(regex("^[0-9]+(ms|s|m|h|d)$", var.hot_margin))
    error_message = "hot_margin must be a whole number and a unit, such as \"1h\"."
  }
}

variable "sql_scan_megabytes" {
  description = "The most that one statement may scan in Athena, which charges by it; past it the statement is cancelled."
  type        = number
  default     = 10240

  validation {
    condition     = var.sql_scan_megabytes >= 10
    error_message = "sql_scan_megabytes must be at least 10, Athena's own least."
  }
}

variable "announce_commits" {
  description = "Whether an SNS topic is told of each commit: docs/formats/commits.md. $0.50 a million messages, one for each dataset and invocation."
  type        = bool
  default     = false
}

variable "sql_time" {
  description = "How long a read of records waits for the lake; one that takes longer is answered with 202 and where to ask again."
  type        = string
  default     = "20s"

  validation {
    condition     = can(regex("^[0-9]+(ms|s|m)$", var.sql_time))
    error_message = "sql_time must be a whole number and a unit, such as \"20s\"."
  }
}

variable "sql_result_days" {
  description = "How long results of statements are kept. Whoever can read them reads what the statement read."
  type        = number
  default     = 1

  validation {
    condition     = var.sql_result_days >= 1
    error_message = "sql_result_days must be at least 1."
  }
}

# The HTTP API.

variable "requests_per_second" {
  description = "The most requests a second to the API, all routes and callers together; past it 429."
  type        = number
  default     = 100

  validation {
    condition     = var.requests_per_second >= 1
    error_message = "requests_per_second must be at least 1."
  }
}

variable "request_burst" {
  description = "How many requests may come at once before `requests_per_second` holds."
  type        = number
  default     = 200

  validation {
    condition     = var.request_burst >= 1
    error_message = "request_burst must be at least 1."
  }
}

variable "cors_origins" {
  description = "Origins of web pages that may call the API. None: no page may."
  type        = list(string)
  default     = []
}

variable "auth" {
  description = <<-EOT
    How tokens are checked. `jwks_url`: where the keys of RS256 and ES256 tokens are, not set: only HS256 with the stack's own secret.
    `issuer` and `audience`: what a token must say, if set. `role_claim`: the claim that holds the roles.
    `cache_seconds`: how long a token's verdict is remembered for a route, and so how long one may outlive its expiry. 0: not at all.
  EOT
  type = object({
    jwks_url      = optional(string)
    issuer        = optional(string)
    audience      = optional(string)
    role_claim    = optional(string, "Role")
    cache_seconds = optional(number, 60)
  })
  default = {}

  validation {
    condition     = var.auth.jwks_url == null || can(regex("^https://", var.auth.jwks_url))
    error_message = "auth.jwks_url must begin with https://."
  }

  validation {
    condition     = var.auth.cache_seconds >= 0 && var.auth.cache_seconds <= 3600
    error_message = "auth.cache_seconds must lie between 0 and 3600."
  }
}

variable "secret_version" {
  description = "Change it to have a new signing secret made: every token signed with the old one is then refused. 0: you put one into Secrets Manager yourself."
  type        = number
  default     = 1

  validation {
    condition     = var.secret_version >= 0 && floor(var.secret_version) == var.secret_version
    error_message = "secret_version must be a whole number, 0 or more."
  }
}

variable "secret_recovery_days" {
  description = "How long a destroyed signing secret can be brought back. 0: not at all."
  type        = number
  default     = 7

  validation {
    condition     = var.secret_recovery_days == 0 || (var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30)
    error_message = "secret_recovery_days must be 0, or lie between 7 and 30."
  }
}

variable "reports_dir" {
  description = "The folder of the reports, which `make package` put into the function's zip: docs/reports.md."
  type        = string
  default     = "../reports"
}

variable "report_minutes" {
  description = "How often it is looked whether a report is due."
  type        = number
  default     = 5

  validation {
    condition     = var.report_minutes >= 1 && var.report_minutes <= 60 && floor(var.report_minutes) == var.report_minutes
    error_message = "report_minutes must be a whole number from 1 to 60."
  }
}

variable "report_days" {
  description = "How long results of reports are kept."
  type        = number
  default     = 400

  validation {
    condition     = var.report_days >= 1 && floor(var.report_days) == var.report_days
    error_message = "report_days must be a whole number, 1 at least."
  }
}
