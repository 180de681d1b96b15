# The stack with all that can be switched on: it can be made, and tests/whole/test_encryption.py walks what there is then.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  # No command is run: tests/test_secret.py.
  secret_version = 0
}

run "everything" {
  command = apply

  variables {
    stage                   = "test"
    console                 = true
    console_domain          = "console.example.com"
    console_certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/mocked"
    announce_commits        = true
    cors_origins            = ["https://console.example.com"]
    alarm_emails            = ["night-shift@example.org"]
    alarm_bus_arn           = "arn:aws:events:eu-west-1:210987654321:event-bus/operations"
    direct_route            = true
    direct_route_log        = true
    network_cidr            = "10.90.0.0/24"
    pseudonym_secret_arn    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pseudonyms-AbCdEf"
  }

  assert {
    condition     = output.direct_url != null && output.console_url == "https://console.example.com" && length(module.network) == 1 && length(module.uploads) == 1
    error_message = "Everything that can be switched on is there."
  }

  assert {
    condition     = contains(module.network[0].services, "sns")
    error_message = "In a network without a way out, commits are told through an endpoint."
  }

  assert {
    condition     = alltrue([for key in ["direct_url", "console_url"] : contains(keys(aws_ssm_parameter.shared), key)])
    error_message = "Other stacks look up the addresses."
  }

  assert {
    condition = alltrue(flatten([
      for statement in jsondecode(module.direct[0].policy).Statement : [for action in statement.Action : !strcontains(action, "*")]
    ]))
    error_message = "A role has a wildcard among its actions."
  }
}

run "nothing_by_default" {
  command = apply

  variables {
    stage = "test"
  }

  assert {
    condition     = output.direct_url == null && output.console_url == null && length(module.network) == 0
    error_message = "What costs more, or lets more in, is off unless it is asked for."
  }
}
