variable "prefix" {
  description = "What names begin with: `<name>-<stage>`."
  type        = string
}

variable "stage" {
  description = "The stage's name: the dimension `Stage` of the functions' metrics."
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
  description = "Every function, by its name within the stage. `maintain` among them: maintenance and audits are watched too."
  type = map(object({
    name             = string
    timeout_seconds  = number
    memory_megabytes = number
  }))
}

variable "stream_name" {
  description = "The stream."
  type        = string
}

variable "delivery_name" {
  description = "Firehose's delivery stream; null: a loop of one's own delivers."
  type        = string
  default     = null
}

variable "source_backup" {
  description = "`kept` if Firehose keeps every record as it came in, or `none`."
  type        = string
  default     = "none"
}

variable "buffer_seconds" {
  description = "How long records are gathered before the transform is called: what is late by that is not late."
  type        = number
}

variable "landing" {
  description = "The name of the bucket of what the transform never took."
  type        = string
}

variable "commit_queue" {
  description = "The names of the commit queue and of its dead-letter queue."
  type = object({
    name      = string
    dead_name = string
  })
}

variable "hot_table" {
  description = "The name of the hot index's table."
  type        = string
}

variable "hot_buffer" {
  description = "The names of the queue of hot chunks that wait for DynamoDB, and of its dead-letter queue; null: there is none."
  type = object({
    name      = string
    dead_name = string
  })
  default = null
}

variable "uploads" {
  description = "The names of the queue of files that were put, and of its dead-letter queue; null: there are none."
  type = object({
    name      = string
    dead_name = string
  })
  default = null
}

variable "audits" {
  description = "`daily`, if `maintain` audits at least once a day; `seldom`: that there was none for a day is nothing to tell."
  type        = string
  default     = "daily"
}

variable "reports" {
  description = "`scheduled`, if there are reports and a schedule looks whether they are due; or `none`."
  type        = string
  default     = "none"
}

variable "announces" {
  description = "`on`, if a topic is told of each commit; or `off`."
  type        = string
  default     = "off"
}

variable "direct_api" {
  description = "The REST API of the direct route, by its `name` and `stage`; null: there is none."
  type = object({
    name  = string
    stage = string
  })
  default = null
}

variable "maintenance_dead" {
  description = "The name of the queue of invocations of `maintain` that were given up; null: there is none."
  type        = string
  default     = null
}

variable "api_id" {
  description = "The HTTP API's id."
  type        = string
}

variable "workgroup" {
  description = "The Athena workgroup."
  type        = string
}

variable "alarms" {
  description = "`on`, or `off`: there is a dashboard and nothing that could wake anybody."
  type        = string
  default     = "on"
}

variable "emails" {
  description = "Whom to tell when an alarm goes off, and when it is over. Each has to confirm."
  type        = list(string)
  default     = []
}

variable "without" {
  description = "Names of alarms that are not made."
  type        = list(string)
  default     = []
}

variable "thresholds" {
  description = "Past what an alarm goes off: `alarm_thresholds` of the whole stack."
  type        = map(number)
}

variable "bus_arn" {
  description = "An event bus, of another account too, that is sent every change of an alarm's state; null: none."
  type        = string
  default     = null
}
