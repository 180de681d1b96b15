# Inputs that cannot work are refused before anything is made: each of these by its own rule.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "refused" {
  command = plan

  variables {
    stage                      = "Prod"
    name                       = "elevenchars"
    region                     = "Ireland"
    endpoint_url               = "http://127.0.0.1:4566/x"
    architecture               = "riscv"
    datasets_dir               = "no-such-folder"
    live_versions              = { other = "1" }
    memory_megabytes           = { query = 64 }
    log_days                   = 31
    on_destroy                 = "maybe"
    stream_shards              = 1.5
    stream_hours               = 12
    delivery                   = "kafka"
    buffer_seconds             = 901
    buffer_megabytes           = 6
    raw_backup_days            = -1
    owner                      = ""
    pseudonym_secret_arn       = "c2VjcmV0"
    commit_seconds             = 301
    commit_timeout_seconds     = 901
    checkpoint_every           = 0
    undelete_days              = 0.5
    hot_margin                 = "60"
    sql_scan_megabytes         = 9
    sql_time                   = "1d"
    sql_result_days            = 0
    requests_per_second        = 0
    request_burst              = 0
    auth                       = { jwks_url = "http://issuer.example/keys" }
    secret_version             = -1
    secret_recovery_days       = 3
    hot_write_units_per_second = 39
    tracing                    = "sometimes"
    alarms                     = "loud"
    alarm_emails               = ["nobody"]
    alarms_without             = ["alluvium-dev/freshness"]
    alarm_thresholds           = { freshness_seconds = -1 }
    alarm_bus_arn              = "operations"
    network_cidr               = "10.90.0.1/24"
    network_zones              = 4
    network_endpoints          = ["https://sns"]
    console_domain             = "console"
    uploads                    = { max_megabytes = 5000, stored_megabytes = 6000 }
  }

  expect_failures = [
    var.stage,
    var.name,
    var.region,
    var.endpoint_url,
    var.architecture,
    var.datasets_dir,
    var.live_versions,
    var.memory_megabytes,
    var.log_days,
    var.on_destroy,
    var.stream_shards,
    var.stream_hours,
    var.delivery,
    var.buffer_seconds,
    var.buffer_megabytes,
    var.raw_backup_days,
    var.owner,
    var.pseudonym_secret_arn,
    var.commit_seconds,
    var.commit_timeout_seconds,
    var.checkpoint_every,
    var.undelete_days,
    var.hot_margin,
    var.hot_write_units_per_second,
    var.sql_scan_megabytes,
    var.sql_time,
    var.sql_result_days,
    var.requests_per_second,
    var.request_burst,
    var.auth,
    var.secret_version,
    var.secret_recovery_days,
    var.tracing,
    var.alarms,
    var.alarm_emails,
    var.alarms_without,
    var.alarm_thresholds,
    var.alarm_bus_arn,
    var.network_cidr,
    var.network_zones,
    var.network_endpoints,
    var.console_domain,
    var.uploads,
  ]
}

run "refused_on_the_other_side" {
  command = plan

  variables {
    stage                      = "a-stage-of-seventeen"
    live_versions              = { query = "$LATEST" }
    auth                       = { cache_seconds = 7200 }
    buffer_seconds             = -1
    buffer_megabytes           = 0.1
    stream_shards              = 201
    stream_hours               = 9000
    memory_megabytes           = { query = 20000 }
    hot_write_units_per_second = 40001
    alarm_thresholds           = { timeout_percent = 100 }
    network_cidr               = "10.90.0.0/28"
    # CloudFront looks for certificates in us-east-1 alone.
    console_domain          = "console.example.com"
    console_certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/mocked"
  }

  expect_failures = [
    var.stage,
    var.live_versions,
    var.auth,
    var.buffer_seconds,
    var.buffer_megabytes,
    var.stream_shards,
    var.stream_hours,
    var.memory_megabytes,
    var.hot_write_units_per_second,
    var.alarm_thresholds,
    var.network_cidr,
    var.console_certificate_arn,
  ]
}

run "refused_too" {
  command = plan

  variables {
    stage            = "dev-"
    alarm_thresholds = { account_concurrency = 0 }
  }

  expect_failures = [
    var.stage,
    var.alarm_thresholds,
  ]
}

run "refused_because_nobody_waits_so_long" {
  command = plan

  variables {
    stage    = "dev"
    sql_time = "1m"
  }

  expect_failures = [
    var.sql_time,
  ]
}

run "refused_because_it_is_a_little_too_long" {
  command = plan

  variables {
    stage    = "dev"
    sql_time = "25001ms"
  }

  expect_failures = [
    var.sql_time,
  ]
}

run "the_longest_that_is_waited" {
  command = plan

  variables {
    stage    = "dev"
    sql_time = "25s"
  }

  assert {
    condition     = module.serving.functions.query.timeout_seconds >= 25 + 2
    error_message = "The query function answers after the longest wait for the lake."
  }
}

# Each of its own, for the rule about memory waits for memory_megabytes to be right.

run "refused_maintenance_schedule" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { compact = "every 5 minutes" }
  }

  expect_failures = [
    var.maintain,
  ]
}

run "refused_maintenance_within" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { compact_within = "soon" }
  }

  expect_failures = [
    var.maintain,
  ]
}

run "refused_maintenance_files" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { compact_files = 1 }
  }

  expect_failures = [
    var.maintain,
  ]
}

run "refused_maintenance_round" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { round_megabytes = 4096, disk_megabytes = 10240 }
  }

  expect_failures = [
    var.maintain,
  ]
}

run "refused_maintenance_memory" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { sort_megabytes = 512 }
  }

  expect_failures = [
    var.maintain,
  ]
}

run "refused_maintenance_disk" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { round_megabytes = 1024 }
  }

  expect_failures = [
    var.maintain,
  ]
}

run "refused_maintenance_time" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { timeout_seconds = 901 }
  }

  expect_failures = [
    var.maintain,
  ]
}

run "refused_maintenance_retention" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { dead_letter_retention = "for ever" }
  }

  expect_failures = [
    var.maintain,
  ]
}

run "refused_maintenance_concurrency" {
  command = plan

  variables {
    stage    = "dev"
    maintain = { reserved_concurrency = 0 }
  }

  expect_failures = [
    var.maintain,
  ]
}
