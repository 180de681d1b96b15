# The stream: encrypted, keeping records as long as told.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "promises" {
  command = apply

  module {
    source = "./modules/stream"
  }

  variables {
    prefix          = "alluvium-test"
    shards          = 2
    retention_hours = 48
  }

  assert {
    condition = (
      aws_kinesis_stream.this.encryption_type == "KMS"
      && aws_kinesis_stream.this.kms_key_id == "alias/aws/kinesis"
    )
    error_message = "Records are encrypted."
  }

  assert {
    condition     = aws_kinesis_stream.this.retention_period == 48 && aws_kinesis_stream.this.shard_count == 2
    error_message = "Retention and shards are those asked for."
  }
}

run "on_demand" {
  command = apply

  module {
    source = "./modules/stream"
  }

  variables {
    prefix          = "alluvium-test"
    shards          = 0
    retention_hours = 24
  }

  assert {
    condition     = aws_kinesis_stream.this.stream_mode_details[0].stream_mode == "ON_DEMAND"
    error_message = "Without a number of shards the stream is on demand."
  }
}
