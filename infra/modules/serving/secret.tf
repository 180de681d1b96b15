# The secret that HS256 tokens are signed with. It goes straight into Secrets Manager: neither the state nor a plan nor
# any variable of a function ever holds it.

resource "aws_secretsmanager_secret" "signing" {
  #checkov:skip=CKV_AWS_149:Encrypted with the key that AWS manages for Secrets Manager.
  #checkov:skip=CKV2_AWS_57:A new secret refuses every token signed with the old one, so a person decides when: secret_version.
  # A prefix, because a destroyed secret keeps its name for as long as it can be brought back.
  name_prefix             = "${var.prefix}-signing-"
  description             = "Signs the HS256 tokens of ${var.prefix}'s API."
  recovery_window_in_days = var.secret_recovery_days
}

resource "aws_secretsmanager_secret_version" "signing" {
  count = var.secret_version > 0 ? 1 : 0

  # Two of Terraform's uuid() are 244 bits of the system's random numbers; a write-only argument is sent and forgotten.
  secret_id                = aws_secretsmanager_secret.signing.id
  secret_string_wo         = sha256("${uuid()}${uuid()}")
  secret_string_wo_version = var.secret_version
}
