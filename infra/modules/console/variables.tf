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

variable "files_dir" {
  description = "The folder of the console's files."
  type        = string
}

variable "api_url" {
  description = "Where the API is."
  type        = string
}

variable "domain" {
  description = "The console's own domain; null: CloudFront's."
  type        = string
}

variable "certificate_arn" {
  description = "The domain's certificate, in us-east-1; null without a domain."
  type        = string
}
