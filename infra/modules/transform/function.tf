# The transform: a Firehose event in; data files, hot chunks and a commit message stored; a verdict per record out.

module "transform" {
  source = "../function"

  prefix      = var.prefix
  name        = "transform"
  description = "Cleans a delivery batch, and stores its data files, hot chunks and commit message."
  settings    = var.functions
  # As long as Firehose waits for an invocation: the function tries storage again for minutes before it gives up.
  timeout_seconds = 300

  environment = {
    ALLUVIUM_LAKE            = var.lake_url
    ALLUVIUM_COMMIT__QUEUE   = var.commit_queue.url
    ALLUVIUM_HOT__TABLE      = var.hot_table.name
    ALLUVIUM_HOT__MARGIN     = var.hot_margin
    ALLUVIUM_HOT__BUFFER     = var.hot_buffer.url
    ALLUVIUM_HOT__WAITING    = var.waiting_table.name
    ALLUVIUM_OWNER           = var.owner
    ALLUVIUM_DEFAULT_DATASET = var.default_dataset
    # Where the key is, never the key.
    ALLUVIUM_PSEUDONYM_KEY = var.pseudonym_secret_arn == null ? null : "secret:${var.pseudonym_secret_arn}"
  }

  statements = concat(
    [
      {
        actions   = ["s3:PutObject"]
        resources = [var.data_files_arn]
      },
      {
        # Chunks.
        actions   = ["dynamodb:BatchWriteItem"]
        resources = [var.hot_table.arn]
      },
      {
        # A note that a parcel waits, unless it is drained.
        actions   = ["dynamodb:ConditionCheckItem", "dynamodb:PutItem"]
        resources = [var.waiting_table.arn]
      },
      {
        actions   = ["sqs:SendMessage"]
        resources = [var.commit_queue.arn, var.hot_buffer.arn]
      },
    ],
    [
      for arn in var.pseudonym_secret_arn == null ? [] : [var.pseudonym_secret_arn] : {
        actions   = ["secretsmanager:GetSecretValue"]
        resources = [arn]
      }
    ],
  )
}
