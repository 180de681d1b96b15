# What an account has before its stages: states that are kept, and roles that only this repository's approved jobs can take.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region     = "eu-west-1"
  repository = "example/alluvium"
  stages     = ["dev", "prod"]
}

run "promises" {
  command = apply

  module {
    source = "./bootstrap"
  }

  assert {
    condition     = keys(output.github_roles) == ["dev", "prod"] && output.state_bucket != null
    error_message = "Each stage has its roles, and there is a bucket for states."
  }

  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github[0].client_id_list == toset(["sts.amazonaws.com"])
    error_message = "GitHub is known by its tokens for AWS."
  }
}

run "without_github" {
  command = apply

  module {
    source = "./bootstrap"
  }

  variables {
    repository = null
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && length(output.github_roles) == 0
    error_message = "Without a repository nobody but people gets in."
  }
}

run "stages_of_which_one_reaches_the_other" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    stages = ["dev", "dev-2", "prod"]
  }

  expect_failures = [
    var.stages,
  ]
}

run "stages_that_are_none" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    stages = ["dev-"]
  }

  expect_failures = [
    var.stages,
  ]
}

run "stages_that_only_begin_alike" {
  command = plan

  module {
    source = "./bootstrap"
  }

  variables {
    stages = ["dev", "dev2", "test-1", "test-2"]
  }

  assert {
    condition     = length(module.github) == 4
    error_message = "Without the hyphen nobody reaches another's roles."
  }
}

run "roles" {
  command = apply

  module {
    source = "./modules/github"
  }

  variables {
    name         = "alluvium"
    stage        = "prod"
    account      = { id = "123456789012", partition = "aws" }
    provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    state_bucket = "states"
  }

  assert {
    condition = {
      for purpose, role in aws_iam_role.this :
      purpose => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals
      } == {
      plan   = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = "repo:example/alluvium:environment:prod-plan" }
      deploy = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = "repo:example/alluvium:environment:prod" }
    }
    error_message = "A role is for this repository and one environment of it, compared as a whole."
  }

  assert {
    condition = alltrue([
      for role in values(aws_iam_role.this) :
      jsondecode(role.assume_role_policy).Statement[0].Action == "sts:AssumeRoleWithWebIdentity" && length(jsondecode(role.assume_role_policy).Statement) == 1
    ])
    error_message = "A role is taken by a token of GitHub's and in no other way."
  }

  assert {
    condition = alltrue(flatten([
      for statement in local.deploy.Statement : statement.Effect == "Deny" ? [] : [
        for resource in statement.Resource : startswith(resource, "arn:aws:iam::123456789012:role/alluvium-prod-") || startswith(resource, "arn:aws:s3:::states/")
      ]
    ]))
    error_message = "A deploy changes the stage's own roles and no others."
  }

  assert {
    condition = alltrue([
      for action in ["secretsmanager:GetSecretValue", "dynamodb:Query", "kinesis:GetRecords"] :
      contains(flatten([for statement in local.plan.Statement : statement.Action if statement.Effect == "Deny"]), action)
    ])
    error_message = "A plan reads no data."
  }

  assert {
    condition = toset(flatten([for statement in local.plan.Statement : statement.NotResource if statement.Sid == "NoObjects"])) == toset([
      "arn:aws:s3:::states/*", "arn:aws:s3:::alluvium-prod-console-123456789012-*/*",
    ])
    error_message = "A plan reads the state and the console's files: of this stage, not of one whose name goes on after a hyphen."
  }

  assert {
    condition = [for statement in local.deploy.Statement : statement.Resource if statement.Effect == "Deny" && statement.Action == ["iam:*"]] == [[
      "arn:aws:iam::123456789012:role/alluvium-*-github-deploy", "arn:aws:iam::123456789012:role/alluvium-*-github-plan",
    ]]
    error_message = "A deploy changes no role that GitHub gets, of whatever stage."
  }
}
