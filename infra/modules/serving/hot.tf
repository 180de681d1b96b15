# The hot index: chunks of the newest rows. The layout of its items is in ../../README.md.

resource "aws_dynamodb_table" "hot" {
  #checkov:skip=CKV_AWS_119:Encrypted with the key that AWS manages for DynamoDB; one's own costs by request.
  name         = "${var.prefix}-hot"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  attribute {
    name = "put"
    type = "S"
  }

  # The order of the puts, for those who poll for what is new.
  global_secondary_index {
    name            = "puts"
    hash_key        = "pk"
    range_key       = "put"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    enabled        = true
    attribute_name = "expires_at"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  deletion_protection_enabled = var.on_destroy == "refuse"
}
