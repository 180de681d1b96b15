# The whole stack as its defaults make it: what holds across modules.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  stage                = "test"
  secret_version       = 0
  pseudonym_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pseudonyms-AbCdEf"
}

run "defaults" {
  command = apply

  assert {
    condition     = join(",", keys(local.every_function)) == "authorizer,commit,gateway,hot-writer,loader,maintain,query,report,transform"
    error_message = "The stack has nine functions: authorizer, commit, gateway, hot-writer, loader, maintain, query, report and transform."
  }

  assert {
    condition = alltrue(flatten([
      for policy in concat([for function in values(local.every_function) : function.policy], [module.transform.firehose_policy, module.maintain.schedules_policy]) : [
        for statement in jsondecode(policy).Statement : [
          for action in statement.Action : !strcontains(action, "*")
        ]
      ]
    ]))
    error_message = "A role has a wildcard among its actions."
  }

  assert {
    condition = alltrue(flatten([
      for policy in concat([for function in values(local.every_function) : function.policy], [module.transform.firehose_policy, module.maintain.schedules_policy]) : [
        for statement in jsondecode(policy).Statement : [
          # What follows the account or the bucket is named; only objects of a folder and streams of a log group are not.
          # X-Ray has no resources that sending traces could be held to.
          for resource in statement.Resource : can(regex("^arn:aws:[a-z0-9]+:[a-z0-9-]*:[0-9]*:[^*]*[^*:/](/\\*|:\\*)?$", resource))
          # Nor has reading metrics.
          || (resource == "*" && contains([["xray:PutTraceSegments", "xray:PutTelemetryRecords"], ["cloudwatch:GetMetricData"]], statement.Action))
        ]
      ]
    ]))
    error_message = "A role reaches resources that are not named."
  }

  assert {
    condition = alltrue([
      for policy in concat([for function in values(local.every_function) : function.policy], [module.transform.firehose_policy, module.maintain.schedules_policy]) :
      length(jsondecode(policy).Statement) >= 2
    ])
    error_message = "A role can do nothing but log, so the tests of its rights above prove nothing."
  }

  assert {
    condition = {
      for name, function in local.every_function : name => [
        for statement in jsondecode(function.policy).Statement : join(" ", statement.Action)
        if contains(statement.Resource, "arn:aws:glue:eu-west-1:123456789012:database/default")
      ] if strcontains(function.policy, "athena:StartQueryExecution")
    } == { query = ["glue:GetDatabase"], report = ["glue:GetDatabase"] }
    error_message = "Whoever runs statements may look at the database `default`, as Athena asks for, and do nothing else with it."
  }

  assert {
    condition = tomap({
      for name, function in local.every_function :
      name => join(" ", sort(distinct([for action in flatten(jsondecode(function.policy).Statement[*].Action) : split(":", action)[0]])))
      }) == tomap({
      authorizer = "logs secretsmanager xray"
      commit     = "dynamodb logs s3 sqs xray"
      gateway    = "dynamodb kinesis logs s3 xray"
      hot-writer = "dynamodb logs s3 sqs xray"
      loader     = "dynamodb kinesis logs s3 sqs xray"
      maintain   = "cloudwatch dynamodb logs s3 sqs xray"
      query      = "athena dynamodb glue logs s3 xray"
      report     = "athena glue logs s3 xray"
      transform  = "dynamodb logs s3 secretsmanager sqs xray"
    })
    error_message = "A function's role reaches a service that it has no business with."
  }

  assert {
    condition = alltrue([
      for action in flatten([
        for name, function in local.every_function : jsondecode(function.policy).Statement[*].Action if !contains(["maintain", "gateway", "loader"], name)
      ]) :
      !strcontains(action, "Delete") || contains(["sqs:DeleteMessage", "dynamodb:DeleteItem"], action)
      ]) && [
      for name, function in local.every_function : name if strcontains(function.policy, "dynamodb:DeleteItem")
    ] == ["gateway", "hot-writer", "maintain"]
    error_message = "A function other than maintain deletes nothing but the queue's messages that it has taken, the hot-writer its notes, and gateway and loader uploads."
  }

  assert {
    condition = alltrue(flatten([
      for name in ["gateway", "loader"] : [
        for statement in jsondecode(local.every_function[name].policy).Statement :
        statement.Resource == ["${module.uploads[0].asked.bucket_arn}/content/*"] if anytrue([for action in statement.Action : startswith(action, "s3:Delete")])
      ]
    ]))
    error_message = "Gateway and loader remove what was put as an upload, and no other object."
  }

  assert {
    condition = alltrue(flatten([
      for function in values(local.every_function) : [
        for key, value in function.environment :
        can(regex("(?i)secret|token|password|key", key)) ? startswith(value, "secret:arn:") : true
      ]
    ]))
    error_message = "A variable whose name says secret holds something else than the secret's address."
  }

  assert {
    condition     = alltrue([for function in values(local.every_function) : function.environment["ALLUVIUM_STAGE"] == "test"])
    error_message = "Every function knows which stage it is: its metrics have it as a dimension."
  }

  assert {
    condition = length(setsubtract(
      [for name in keys(local.every_function) : "${name}-errors"],
      keys(module.watch.alarms),
    )) == 0
    error_message = "Every function is watched."
  }

  assert {
    condition     = alltrue([for name in ["ledger-deficit", "set-aside", "commits-dead", "stream-unread"] : contains(keys(module.watch.alarms), name)])
    error_message = "Alarms are on unless switched off."
  }

  assert {
    condition     = module.transform.functions.transform.environment["ALLUVIUM_PSEUDONYM_KEY"] == "secret:${var.pseudonym_secret_arn}"
    error_message = "The transform is told where the key of pseudonyms is."
  }

  assert {
    condition = (
      module.transform.functions.transform.environment["ALLUVIUM_HOT__MARGIN"]
      == module.serving.functions.query.environment["ALLUVIUM_HOT__MARGIN"]
    )
    error_message = "Who reads the hot index reckons with the margin by which it is written."
  }

  assert {
    condition = length(distinct([
      for function in [module.transform.functions.transform, module.levelling.functions.hot-writer, module.serving.functions.query] :
      function.environment["ALLUVIUM_HOT__WAITING"]
    ])) == 1
    error_message = "Who reads the hot index is told by the table that those use who write it what waits."
  }

  assert {
    condition = (
      module.transform.functions.transform.environment["ALLUVIUM_HOT__BUFFER"]
      == module.levelling.functions.hot-writer.environment["ALLUVIUM_HOT__BUFFER"]
    )
    error_message = "The hot-writer drains the buffer that the transform fills."
  }

  assert {
    condition = (
      module.serving.functions.query.environment["ALLUVIUM_COMMIT__LAG"]
      == "${5 * (6 * var.commit_timeout_seconds + var.commit_seconds)}s"
    )
    error_message = "Who reads reckons with the longest that a commit message can wait."
  }

  assert {
    condition = [
      for action in flatten(jsondecode(module.transform.functions.transform.policy).Statement[*].Action) : action
      if startswith(action, "dynamodb:")
    ] == ["dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:PutItem"]
    error_message = "The transform puts chunks into the hot index, notes what waits, and does nothing else there."
  }

  assert {
    condition     = !contains(keys(module.transform.functions.transform.environment), "AWS_ENDPOINT_URL")
    error_message = "Without endpoint_url no function is sent anywhere but to AWS."
  }

  assert {
    condition     = alltrue([for function in values(local.every_function) : endswith(function.live_arn, ":live")])
    error_message = "Functions are called through the alias live."
  }

  assert {
    condition = alltrue([
      for key in ["api_url", "stream_name", "lake_url", "database", "workgroup"] :
      contains(keys(aws_ssm_parameter.shared), key)
    ])
    error_message = "Other stacks look up the API, the stream, the lake, the database and the workgroup."
  }

  assert {
    condition     = aws_ssm_parameter.shared["stream_name"].name == "/alluvium/test/stream_name"
    error_message = "Parameters are named /<name>/<stage>/<key>."
  }
}

run "an_emulator" {
  command = apply

  variables {
    endpoint_url = "http://127.0.0.1:4566"
  }

  assert {
    condition = alltrue([
      for function in values(local.every_function) :
      function.environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    ])
    error_message = "With endpoint_url every function calls that address."
  }
}

run "another_name" {
  command = apply

  variables {
    name = "shop"
  }

  assert {
    condition = alltrue([for function in values(local.every_function) : function.environment["ALLUVIUM_STAGE"] == "shop/test"]) && strcontains(
      module.watch.dashboard_body, "\"Alluvium\",\"LedgerDifference\",\"Stage\",\"shop/test\""
    )
    error_message = "Two stacks of one stage do not share their metrics."
  }
}
