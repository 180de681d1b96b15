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
      contains(["transform", "commit", "gateway", "query", "authorizer", "hot-writer", "maintain", "report", "loader"], name) && can(regex("^[1-9][0-9]*$", version))
    ])
    error_message = "live_versions must map transform, commit, gateway, query, authorizer, hot-writer, maintain, report or loader to a version's number, such as { transform = \"12\" }."
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
    hot-writer = optional(number, 256)
    maintain   = optional(number, 2048)
    report     = optional(number, 1024)
    loader     = optional(number, 1024)
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

variable "tracing" {
  description = "Whether the functions send traces to X-Ray: `on` or `off`."
  type        = string
  default     = "on"

  validation {
    condition     = contains(["on", "off"], var.tracing)
    error_message = "tracing must be \"on\" or \"off\"."
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

variable "hot_write_units_per_second" {
  description = "How fast chunks that the hot index did not take in time are written afterwards, in DynamoDB's write units, at most. What it writes comes on top of the stream's own, and costs the same."
  type        = number
  default     = 500

  validation {
    condition     = var.hot_write_units_per_second >= 40 && var.hot_write_units_per_second <= 40000 && floor(var.hot_write_units_per_second) == var.hot_write_units_per_second
    error_message = "hot_write_units_per_second must be a whole number from 40 (so that what waits together is written within one invocation) to 40000 (the default quota of a table)."
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
  description = "How long a read of records waits for the lake, 25 seconds at most; one that takes longer is answered with 202 and where to ask again."
  type        = string
  default     = "20s"

  validation {
    condition     = can(regex("^[0-9]+(ms|s|m)$", var.sql_time))
    error_message = "sql_time must be a whole number and a unit, such as \"20s\"."
  }

  # The function ends at 29 seconds, and needs some for what it does beside waiting.
  validation {
    condition     = try(tonumber(regex("^[0-9]+", var.sql_time)) * { ms = 1, s = 1000, m = 60000 }[regex("[a-z]+$", var.sql_time)] <= 25000, true)
    error_message = "sql_time must be 25s at most: API Gateway waits 30 seconds for an answer, and the function is stopped before, without one."
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

# The network.

variable "network_cidr" {
  description = "Put the functions into a network of their own, without a way to or from the internet, with these addresses, such as `10.90.0.0/24`. Not set: into none. Its endpoints cost by the hour: docs/aws.md."
  type        = string
  default     = null

  validation {
    condition     = var.network_cidr == null || try(tonumber(split("/", var.network_cidr)[1]) >= 16 && tonumber(split("/", var.network_cidr)[1]) <= 24 && cidrhost(var.network_cidr, 0) == split("/", var.network_cidr)[0], false)
    error_message = "network_cidr must be the first address of a network and a length from /16 to /24, such as \"10.90.0.0/24\"."
  }
}

variable "network_zones" {
  description = "Over how many availability zones the network reaches. One endpoint in each is paid for."
  type        = number
  default     = 2

  validation {
    condition     = contains([1, 2, 3], var.network_zones)
    error_message = "network_zones must be 1, 2 or 3."
  }
}

variable "network_endpoints" {
  description = "Further services that functions reach in the network, as PrivateLink names them, such as `sns`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for service in var.network_endpoints : can(regex("^[a-z][a-z0-9.-]*$", service))])
    error_message = "network_endpoints must be names of services within a region, such as [\"sns\"]."
  }
}

# Maintenance.

variable "maintain" {
  description = <<-EOT
    How the lake is maintained. `enabled`: false keeps the schedules and has them call nothing. `compact`, `retain`, `vacuum`, `audit`,
    `erasures`: how often, as EventBridge Scheduler writes it, `rate(…)` or `cron(…)` in UTC; an empty text: never. `compact_within`: after so long a
    compaction begins no further round, so that it is done before the next one comes.
    `compact_files`: with so many new files a table is compacted. `round_megabytes`: so much of new files a round takes, and as much of
    compacted ones; it has to end in the function's time, and its rows must have room on its disk. `sort_megabytes`: so much of rows is
    sorted in memory, the rest waits on the disk, `disk_megabytes`. `timeout_seconds`: what the function may take, 900 at the most.
    `dead_letter_retention`: how long dead letters are kept, such as "90d"; not set: for ever.
    `reserved_concurrency`: 1 has invocations wait for each other. -1: they may meet, which harms nothing and is work done twice. An
    account must keep 100 unreserved, so one with a limit of 10 or 100 cannot reserve.
  EOT
  type = object({
    enabled               = optional(bool, true)
    compact               = optional(string, "rate(5 minutes)")
    compact_within        = optional(string, "4m")
    retain                = optional(string, "rate(1 hour)")
    vacuum                = optional(string, "rate(1 day)")
    audit                 = optional(string, "rate(1 day)")
    erasures              = optional(string, "rate(1 day)")
    compact_files         = optional(number, 16)
    round_megabytes       = optional(number, 256)
    sort_megabytes        = optional(number, 96)
    disk_megabytes        = optional(number, 4096)
    timeout_seconds       = optional(number, 900)
    dead_letter_retention = optional(string)
    reserved_concurrency  = optional(number, -1)
  })
  default = {}

  validation {
    condition = alltrue([
      for expression in [var.maintain.compact, var.maintain.retain, var.maintain.vacuum, var.maintain.audit, var.maintain.erasures] :
      expression == "" || can(regex("^(rate\\([1-9][0-9]* (minute|minutes|hour|hours|day|days)\\)|cron\\([^()]+\\))$", expression))
    ])
    error_message = "maintain's compact, retain, vacuum, audit and erasures must each be rate(…) or cron(…), such as \"rate(5 minutes)\", or empty for never."
  }

  validation {
    condition     = can(regex("^[1-9][0-9]*(s|m)$", var.maintain.compact_within))
    error_message = "maintain.compact_within must be a whole number and a unit, such as \"4m\"."
  }

  validation {
    condition     = var.maintain.compact_files >= 2 && floor(var.maintain.compact_files) == var.maintain.compact_files
    error_message = "maintain.compact_files must be a whole number of at least 2: one file cannot become fewer."
  }

  validation {
    condition     = var.maintain.round_megabytes >= 16 && var.maintain.round_megabytes <= 2048 && floor(var.maintain.round_megabytes) == var.maintain.round_megabytes
    error_message = "maintain.round_megabytes must be a whole number from 16 to 2048."
  }

  validation {
    # Files are read whole, the filters of keys are held, and files are put in parts: that takes the rest.
    condition     = var.maintain.sort_megabytes >= 16 && floor(var.maintain.sort_megabytes) == var.maintain.sort_megabytes && var.maintain.sort_megabytes * 8 <= var.memory_megabytes.maintain
    error_message = "maintain.sort_megabytes must be a whole number of at least 16, and at most an eighth of memory_megabytes.maintain."
  }

  validation {
    condition     = var.maintain.disk_megabytes >= 512 && var.maintain.disk_megabytes <= 10240 && var.maintain.disk_megabytes >= 8 * var.maintain.round_megabytes
    error_message = "maintain.disk_megabytes must lie between 512 and 10240, and be at least eight times maintain.round_megabytes: rows wait there uncompressed."
  }

  validation {
    condition     = var.maintain.timeout_seconds >= 120 && var.maintain.timeout_seconds <= 900
    error_message = "maintain.timeout_seconds must lie between 120 and 900, the most that Lambda gives."
  }

  validation {
    condition     = var.maintain.dead_letter_retention == null || can(regex("^[1-9][0-9]*(h|d)$", var.maintain.dead_letter_retention))
    error_message = "maintain.dead_letter_retention must be a whole number and a unit, such as \"90d\"."
  }

  validation {
    condition     = contains([-1, 1], var.maintain.reserved_concurrency)
    error_message = "maintain.reserved_concurrency must be 1, or -1 for none."
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

variable "console" {
  description = "Whether the console is served, by CloudFront from a bucket, with the API under the same address."
  type        = bool
  default     = false
}

variable "console_domain" {
  description = "A domain for the console, such as `console.example.com`, with console_certificate_arn. Not set: CloudFront's own, which takes TLS before 1.2 too."
  type        = string
  default     = null

  validation {
    condition     = var.console_domain == null || can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", var.console_domain))
    error_message = "console_domain must be a domain's name, such as \"console.example.com\"."
  }
}

variable "console_certificate_arn" {
  description = "The certificate of console_domain in AWS Certificate Manager, in us-east-1, where CloudFront looks for them."
  type        = string
  default     = null

  validation {
    condition     = (var.console_certificate_arn == null) == (var.console_domain == null) && (var.console_certificate_arn == null || can(regex("^arn:[^:]+:acm:us-east-1:[0-9]{12}:certificate/.+$", var.console_certificate_arn)))
    error_message = "console_certificate_arn must be the ARN of a certificate in us-east-1, and goes with console_domain."
  }
}

variable "direct_route" {
  description = "Whether there is a second address for writes, by which API Gateway puts them into the stream without a function: docs/aws.md."
  type        = bool
  default     = false
}

variable "direct_route_log" {
  description = "Log the direct route's requests. A REST API does so by a role of the whole account, which has to be set before."
  type        = bool
  default     = false
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

# What is watched, and who is told.

variable "alarms" {
  description = "`on`: an alarm for all that tells of loss or lag. `off`: only the dashboard."
  type        = string
  default     = "on"

  validation {
    condition     = contains(["on", "off"], var.alarms)
    error_message = "alarms must be \"on\" or \"off\"."
  }
}

variable "alarm_emails" {
  description = "Addresses that are told when an alarm goes off and when it is over. Each gets a mail first, and has to confirm."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for email in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", email))])
    error_message = "alarm_emails must be addresses, such as [\"night-shift@example.org\"]."
  }
}

variable "alarms_without" {
  description = "Alarms that are not made, by their names within the stage, such as `[\"stream-throttled\"]`: see docs/runbook.md."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.alarms_without : can(regex("^[a-z][a-z-]*[a-z]$", name))])
    error_message = "alarms_without must name alarms without the stage, such as [\"stream-throttled\"]."
  }
}

variable "alarm_thresholds" {
  description = <<-EOT
    Past what an alarm goes off, where that is a matter of taste. `…_seconds` of freshness and commit lag are beyond `buffer_seconds`.
    Counts are of five minutes. `account_concurrency`: the account's limit of concurrent executions, of which 80 % may be taken.
    `dead_letters_percent`: of the events, once there are more than `dead_letters`. `timeout_percent`: of a function's time-out.
  EOT
  type = object({
    account_concurrency   = optional(number, 1000)
    api_errors            = optional(number, 5)
    api_milliseconds      = optional(number, 5000)
    commit_lag_seconds    = optional(number, 600)
    commit_queue_seconds  = optional(number, 300)
    dead_letters          = optional(number, 10)
    dead_letters_percent  = optional(number, 5)
    freshness_seconds     = optional(number, 300)
    function_errors       = optional(number, 0)
    hot_behind_seconds    = optional(number, 300)
    incomplete_reads      = optional(number, 0)
    report_late_seconds   = optional(number, 3600)
    storage_failures      = optional(number, 10)
    stream_behind_seconds = optional(number, 300)
    stream_refused        = optional(number, 0)
    timeout_percent       = optional(number, 80)
    uploads_seconds       = optional(number, 3600)
  })
  default = {}

  validation {
    condition     = alltrue([for threshold in values(var.alarm_thresholds) : threshold >= 0])
    error_message = "alarm_thresholds must all be 0 or more."
  }

  validation {
    condition = alltrue([
      for percent in [var.alarm_thresholds.dead_letters_percent, var.alarm_thresholds.timeout_percent] : percent < 100
    ])
    error_message = "dead_letters_percent and timeout_percent must be below 100: nothing can be more than all."
  }

  validation {
    condition     = var.alarm_thresholds.account_concurrency >= 1
    error_message = "account_concurrency must be the account's limit, such as 1000; `aws lambda get-account-settings` tells it."
  }
}

variable "alarm_bus_arn" {
  description = "An EventBridge bus, of this or another account, that is sent every change of an alarm's state. Its policy must let this account put events."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_bus_arn == null || can(regex("^arn:[^:]+:events:[^:]+:[0-9]{12}:event-bus/.+$", var.alarm_bus_arn))
    error_message = "alarm_bus_arn must be an event bus's ARN, such as \"arn:aws:events:eu-west-1:123456789012:event-bus/operations\"."
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
