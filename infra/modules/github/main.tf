# What GitHub Actions may do for one stage, by tokens that GitHub signs for one run each: no key is kept there. Two roles: one that looks, for the
# plan, and one that deploys, which only jobs of the stage's environment get, and so only after the approval that the environment asks for.

locals {
  prefix = "${var.name}-${var.stage}"
  arn    = "arn:${var.account.partition}"

  roles = {
    plan   = { environment = "${var.stage}-plan", description = "Reads what is there, to plan a deploy of ${local.prefix}." }
    deploy = { environment = var.stage, description = "Deploys ${local.prefix}." }
  }

  # GitHub docs, "Configuring OpenID Connect in Amazon Web Services".
  issuer = "token.actions.githubusercontent.com"

  state = "${local.arn}:s3:::${var.state_bucket}"

  # Whom a stage's roles trust: tests/whole/test_github.py holds it to what the stack makes.
  services = [
    for service in ["apigateway", "events", "firehose", "lambda", "scheduler"] : "${service}.amazonaws.com"
  ]

  plan = {
    Version = "2012-10-17"
    Statement = [
      { Sid = "State", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.state}/*"] },
      # A plan looks at how things are set, never at what they hold.
      {
        Sid    = "NoData"
        Effect = "Deny"
        Action = [
          "athena:GetQueryResults", "athena:GetQueryResultsStream", "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PartiQLSelect",
          "dynamodb:Query", "dynamodb:Scan", "kinesis:GetRecords", "kinesis:SubscribeToShard", "logs:FilterLogEvents", "logs:GetLogEvents",
          "logs:StartQuery", "secretsmanager:GetSecretValue", "sqs:ReceiveMessage",
        ]
        Resource = ["*"]
      },
      {
        Sid    = "NoObjects"
        Effect = "Deny"
        Action = ["s3:GetObject", "s3:GetObjectVersion"]
        # With the account, for a stage's name may go on after a hyphen.
        NotResource = ["${local.state}/*", "${local.arn}:s3:::${local.prefix}-console-${var.account.id}-*/*"]
      },
    ]
  }

  deploy = {
    Version = "2012-10-17"
    Statement = [
      { Sid = "State", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], Resource = ["${local.state}/*"] },
      # The stage's own roles. Whoever may set what they may do can do all of that: it is what a deploy is. They are told by how their names begin, so
      # the roles of a stage whose name goes on after a hyphen would be among them: bootstrap refuses such a pair.
      {
        Sid    = "OwnRoles"
        Effect = "Allow"
        Action = [
          "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
          "iam:ListInstanceProfilesForRole", "iam:ListRolePolicies", "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole",
          "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription",
        ]
        Resource = ["${local.arn}:iam::${var.account.id}:role/${local.prefix}-*"]
      },
      {
        Sid       = "HandRolesOver"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = ["${local.arn}:iam::${var.account.id}:role/${local.prefix}-*"]
        Condition = { StringEquals = { "iam:PassedToService" = local.services } }
      },
      # The roles that GitHub gets it must not change: neither its own two nor another stage's.
      {
        Sid      = "NotItself"
        Effect   = "Deny"
        Action   = ["iam:*"]
        Resource = [for purpose in keys(local.roles) : "${local.arn}:iam::${var.account.id}:role/${var.name}-*-github-${purpose}"]
      },
    ]
  }
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = "${local.prefix}-github-${each.key}"
  description          = each.value.description
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = var.provider_arn }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "repo:${var.repository}:environment:${each.value.environment}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  #checkov:skip=CKV_AWS_355:The wildcards are in what is denied.
  #checkov:skip=CKV_AWS_286:A deploy makes the stage's roles: it may set what they may do, and no other role's.
  #checkov:skip=CKV_AWS_289:As above.
  #checkov:skip=CKV_AWS_290:As above.
  #checkov:skip=CKV_AWS_287:As above.
  #checkov:skip=CKV_AWS_288:What is read is the state.
  for_each = { plan = local.plan, deploy = local.deploy }

  name   = "own"
  role   = aws_iam_role.this[each.key].id
  policy = jsonencode(each.value)
}

# AWS Managed Policy Reference: all but IAM and what is above the account; and what only reads.
resource "aws_iam_role_policy_attachment" "this" {
  for_each = { plan = "ReadOnlyAccess", deploy = "PowerUserAccess" }

  role       = aws_iam_role.this[each.key].name
  policy_arn = "${local.arn}:iam::aws:policy/${each.value}"
}

variable "name" {
  description = "What every name begins with."
  type        = string
}

variable "stage" {
  description = "The stage."
  type        = string
}

variable "account" {
  description = "The account's `id` and `partition`."
  type = object({
    id        = string
    partition = string
  })
}

variable "repository" {
  description = "The repository whose workflows these are: `owner/name`."
  type        = string
}

variable "provider_arn" {
  description = "GitHub as an identity provider of the account."
  type        = string
}

variable "state_bucket" {
  description = "The bucket of Terraform's states."
  type        = string
}

output "role_arns" {
  description = "The roles, by what they are for: `plan` and `deploy`."
  value       = { for purpose, role in aws_iam_role.this : purpose => role.arn }
}
