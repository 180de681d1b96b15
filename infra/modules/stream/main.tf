# The stream: what is acknowledged is here, and the audit reads it again.

variable "prefix" {
  description = "What names begin with: `<name>-<stage>`."
  type        = string
}

variable "shards" {
  description = "How many shards; 0: on demand."
  type        = number
}

variable "retention_hours" {
  description = "How long records are kept."
  type        = number
}

resource "aws_kinesis_stream" "this" {
  #checkov:skip=CKV_AWS_185:Encrypted with the key that AWS manages for Kinesis; one's own would cost by request and need a grant for each producer.
  name             = "${var.prefix}-events"
  shard_count      = var.shards == 0 ? null : var.shards
  retention_period = var.retention_hours

  encryption_type = "KMS"
  kms_key_id      = "alias/aws/kinesis"

  stream_mode_details {
    stream_mode = var.shards == 0 ? "ON_DEMAND" : "PROVISIONED"
  }
}

output "name" {
  description = "The stream's name."
  value       = aws_kinesis_stream.this.name
}

output "arn" {
  description = "The stream's ARN."
  value       = aws_kinesis_stream.this.arn
}
