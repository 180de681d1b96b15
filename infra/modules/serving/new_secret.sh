#!/usr/bin/env bash
# Makes up a value for the secret SECRET, 256 bits of the system's random numbers as 64 digits, and puts it into Secrets Manager: secret.tf.
# It goes from one process to the next, and so stands in no file, on no command line and in none of Terraform's output.
set -euo pipefail
command -v aws >/dev/null || {
    echo "the AWS command line is not installed: it puts the signing secret into Secrets Manager" >&2
    exit 1
}

where=(--region "$AWS_REGION")
if [ -n "${AWS_ENDPOINT_URL:-}" ]; then
    where+=(--endpoint-url "$AWS_ENDPOINT_URL")
fi
head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' |
    AWS_PAGER='' aws secretsmanager put-secret-value --secret-id "$SECRET" --secret-string file:///dev/stdin \
        "${where[@]}" --query VersionId --output text
