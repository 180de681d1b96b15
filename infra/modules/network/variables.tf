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

variable "cidr" {
  description = "The network's addresses."
  type        = string
}

variable "zones" {
  description = "Over how many availability zones it reaches."
  type        = number
}

variable "more_endpoints" {
  description = "Further services that functions talk to, as PrivateLink names them."
  type        = list(string)
}
