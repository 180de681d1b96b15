# What operators' commands find of a stage in its parameters. The program's side is cli/src/stage/settings.rs.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  stage          = "test"
  secret_version = 0
}

run "every_parameter_that_commands_need" {
  command = apply

  assert {
    condition = length(setsubtract(
      [
        "format", "api_url", "stream_name", "lake_url", "database", "workgroup", "hot_table", "commit_queue", "landing", "results", "delivery",
        "delivery_stream", "function_transform", "function_commit", "owner", "buffer_seconds", "stream_hours", "raw_backup_days",
        "undelete_days", "sql_result_days",
      ],
      concat(keys(aws_ssm_parameter.shared), keys(aws_ssm_parameter.operated)),
    )) == 0
    error_message = "A parameter is missing that commands with --stage need."
  }

  assert {
    condition     = length(setintersection(keys(aws_ssm_parameter.shared), keys(aws_ssm_parameter.operated))) == 0
    error_message = "Two resources make the same parameter."
  }

  assert {
    condition     = aws_ssm_parameter.operated["format"].value == "1"
    error_message = "Another format is another release of the program: change it in cli/src/stage/settings.rs too."
  }

  assert {
    condition     = aws_ssm_parameter.operated["undelete_days"].name == "/alluvium/test/undelete_days"
    error_message = "Parameters are named /<name>/<stage>/<key>."
  }

  assert {
    condition     = !contains(keys(aws_ssm_parameter.operated), "default_dataset")
    error_message = "A parameter cannot be empty, so there is none for a default dataset that is not set."
  }

  assert {
    condition = alltrue([
      for parameter in values(aws_ssm_parameter.operated) : parameter.type == "String" && parameter.tier == "Standard"
    ])
    error_message = "Parameters are plain, and of the tier that costs nothing."
  }
}

run "a_default_dataset_and_an_owner" {
  command = apply

  variables {
    default_dataset = "telemetry"
    owner           = "plant"
    delivery        = "external"
  }

  assert {
    condition     = aws_ssm_parameter.operated["default_dataset"].value == "telemetry" && aws_ssm_parameter.operated["owner"].value == "plant"
    error_message = "Commands read what comes in as the stage does."
  }

  assert {
    condition     = aws_ssm_parameter.operated["delivery_stream"].value == "none"
    error_message = "A stage without Firehose has no delivery stream."
  }
}
