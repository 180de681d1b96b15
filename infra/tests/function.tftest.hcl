# Every function: published, called through `live`, its logs ending, its role its own.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix          = "alluvium-test"
  name            = "query"
  description     = "Tested."
  timeout_seconds = 29
  environment     = { ALLUVIUM_SET = "1", ALLUVIUM_NOT_SET = null }
  statements      = [{ actions = ["kinesis:PutRecords"], resources = ["arn:aws:kinesis:eu-west-1:123456789012:stream/a"] }]

  settings = {
    architecture     = "arm64"
    package_dir      = "no-such-folder"
    live_versions    = {}
    memory_megabytes = { query = 256 }
    log_days         = 14
    environment      = { ALLUVIUM_VERBOSITY = "info" }
  }
}

run "promises" {
  command = apply

  module {
    source = "./modules/function"
  }

  assert {
    condition     = aws_lambda_function.this.publish && aws_lambda_alias.live.name == "live"
    error_message = "Every deploy publishes a version, and the alias is called live."
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == aws_lambda_function.this.version
    error_message = "Without a rollback, live is the newest version."
  }

  assert {
    condition = (
      aws_lambda_function.this.runtime == "provided.al2023"
      && aws_lambda_function.this.architectures[0] == "arm64"
    )
    error_message = "Functions run on Amazon Linux 2023, on the architecture chosen."
  }

  assert {
    condition = (
      aws_cloudwatch_log_group.this.name == "/aws/lambda/alluvium-test-query"
      && aws_cloudwatch_log_group.this.retention_in_days == 14
    )
    error_message = "The function's own log group ends after log_days."
  }

  assert {
    condition     = output.environment == tomap({ ALLUVIUM_SET = "1", ALLUVIUM_VERBOSITY = "info" })
    error_message = "A variable that is null is left out, and those that all functions share are there."
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement[0].Principal == { Service = "lambda.amazonaws.com" }
    error_message = "Only Lambda takes a function's role."
  }

  assert {
    condition     = flatten(jsondecode(output.policy).Statement[*].Action) == ["logs:CreateLogStream", "logs:PutLogEvents", "kinesis:PutRecords", "xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    error_message = "A role may write its log and its traces, and what is listed."
  }

  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "Active"
    error_message = "Unless told otherwise, a function sends traces."
  }
}

run "a_rollback" {
  command = apply

  module {
    source = "./modules/function"
  }

  variables {
    settings = {
      architecture     = "arm64"
      package_dir      = "no-such-folder"
      live_versions    = { query = "3" }
      memory_megabytes = { query = 256 }
      log_days         = 14
      environment      = {}
    }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "3"
    error_message = "live_versions puts live back to the version named."
  }
}

run "without_traces" {
  command = apply

  module {
    source = "./modules/function"
  }

  variables {
    settings = {
      architecture     = "arm64"
      package_dir      = "no-such-folder"
      live_versions    = {}
      memory_megabytes = { query = 256 }
      log_days         = 14
      environment      = {}
      tracing          = "PassThrough"
    }
  }

  assert {
    condition     = aws_lambda_function.this.tracing_config[0].mode == "PassThrough" && !strcontains(output.policy, "xray")
    error_message = "A function that sends no traces may not either."
  }
}
