# The secret that HS256 tokens are signed with. Its value goes straight into Secrets Manager: neither the state nor a plan nor
# any variable of a function ever holds it, and whoever plans a deploy needs no right to it.

data "aws_region" "current" {}

resource "aws_secretsmanager_secret" "signing" {
  #checkov:skip=CKV_AWS_149:Encrypted with the key that AWS manages for Secrets Manager.
  #checkov:skip=CKV2_AWS_57:A new secret refuses every token signed with the old one, so a person decides when: secret_version.
  # A prefix, because a destroyed secret keeps its name for as long as it can be brought back.
  name_prefix             = "${var.prefix}-signing-"
  description             = "Signs the HS256 tokens of ${var.prefix}'s API."
  recovery_window_in_days = var.secret_recovery_days
}

# Not a resource of the provider's: that reads the value whenever it looks at the version, write-only or not, and a plan would need the right to the
# key with which anybody's tokens can be made. So the value is put there by a command, at its place among the other changes: before the authorizer,
# which reads it when it starts. In a test Terraform would run the command as well: what is applied there has secret_version = 0.
resource "terraform_data" "signing" {
  count = var.secret_version > 0 ? 1 : 0

  triggers_replace = [aws_secretsmanager_secret.signing.arn, var.secret_version]

  provisioner "local-exec" {
    interpreter = ["bash"]
    command     = "${path.module}/new_secret.sh"

    environment = {
      for name, value in {
        SECRET           = aws_secretsmanager_secret.signing.arn
        AWS_REGION       = data.aws_region.current.name
        AWS_ENDPOINT_URL = lookup(var.functions.environment, "AWS_ENDPOINT_URL", null)
      } : name => value if value != null
    }
  }
}
