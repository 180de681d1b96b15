# What operators' commands look up of a stage (`--stage`, ../docs/aws.md), beside what other stacks do in main.tf: what they act on, how the stage
# reads what comes in, and how long its copies are kept. Each is a standard parameter: free, and of 4 KB at most (AWS Systems Manager User Guide,
# "Managing parameter tiers").

locals {
  operated = merge(
    {
      # Of all parameters of a stage together. A program that does not know it refuses the stage.
      format             = "1"
      delivery           = var.delivery
      delivery_stream    = var.delivery == "firehose" ? "${local.prefix}-delivery" : "none"
      function_transform = module.transform.functions.transform.name
      function_commit    = module.lake.functions.commit.name
      results            = module.lake.results.name
      owner              = var.owner
      buffer_seconds     = tostring(var.buffer_seconds)
      stream_hours       = tostring(var.stream_hours)
      raw_backup_days    = tostring(var.raw_backup_days)
      undelete_days      = tostring(var.undelete_days)
      sql_result_days    = tostring(var.sql_result_days)
    },
    var.default_dataset == null ? {} : { default_dataset = var.default_dataset },
  )
}

resource "aws_ssm_parameter" "operated" {
  #checkov:skip=CKV2_AWS_34:Names and numbers, none of them secret: the secrets themselves are in Secrets Manager.
  for_each = local.operated

  name        = "/${var.name}/${var.stage}/${each.key}"
  description = "${local.prefix}: ${each.key}"
  type        = "String"
  tier        = "Standard"
  value       = each.value

  # A put whose answer was lost is sent again by the provider, and finds its own.
  overwrite = true
}
