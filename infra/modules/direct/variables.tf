variable "prefix" {
  description = "What names begin with: `<name>-<stage>`."
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

variable "stream" {
  description = "The stream that is written: `name` and `arn`."
  type = object({
    name = string
    arn  = string
  })
}

variable "datasets" {
  description = "The datasets that have a route each."
  type        = set(string)
}

variable "authorizer" {
  description = "The function that says who writes: its `name`, and what API Gateway calls."
  type = object({
    name            = string
    live_invoke_arn = string
  })
}

variable "cache_seconds" {
  description = "How long a token's verdict is remembered."
  type        = number
}

variable "requests_per_second" {
  description = "The most requests a second."
  type        = number
}

variable "request_burst" {
  description = "How many requests may come at once."
  type        = number
}

variable "log_requests" {
  description = "Whether requests are logged; the account's API Gateway then needs a role for CloudWatch Logs."
  type        = bool
}

variable "log_days" {
  description = "How long the log is kept."
  type        = number
}
