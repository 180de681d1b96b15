#!/usr/bin/env bash
# `terraform init` that also serves a machine without a network: when the provider can be had in none of the ways that Terraform
# itself is set up for, an unpacked mirror is looked for where such are kept. The lock file's checksum holds for it all the same.
# Arguments go to `terraform init`.
#
# The state is a file in this folder unless backend.hcl is here, which says where in S3 it is kept: backend.hcl.example.
set -euo pipefail
cd "$(dirname "$0")"

init=(terraform init -input=false -no-color -lockfile=readonly)
# Terraform takes a backend's settings from a file, but its kind only from a block; ours is this one, and goes with backend.hcl.
override=backend_override.tf
block='# Made by init.sh, for backend.hcl is here.
terraform {
  backend "s3" {}
}'
if [ -f backend.hcl ]; then
    printf '%s\n' "$block" >"$override"
    if [[ " $* " != *" -backend=false "* ]]; then
        init+=(-backend-config=backend.hcl)
    fi
elif [ "$(cat "$override" 2>/dev/null)" = "$block" ]; then
    rm "$override"
fi
init+=("$@")
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if "${init[@]}" >"$said" 2>&1; then
    exit 0
fi

version=$(sed -n 's/^ *version *= *"\(.*\)"$/\1/p' .terraform.lock.hcl)
platform=$(terraform version -json | sed -n 's/^ *"platform": "\(.*\)",$/\1/p')
places=()
for place in "$HOME/.terraform.d" "$HOME/.local/share/terraform" /usr/local/share /usr/local/lib /usr/share/terraform /opt; do
    if [ -d "$place" ]; then
        places+=("$place")
    fi
done
found=$(find "${places[@]}" -maxdepth 7 -type d -path "*/hashicorp/aws/$version/$platform" -print -quit 2>/dev/null || true)
if [ -z "$found" ]; then
    cat "$said" >&2
    echo "infra/init.sh: and there is no mirror with the provider hashicorp/aws $version for $platform in: ${places[*]}" >&2
    exit 1
fi

# A mirror is laid out as HOST/hashicorp/aws/VERSION/PLATFORM.
mirror=${found%/*/hashicorp/aws/"$version"/"$platform"}
echo "infra: Terraform's own settings give no provider; taking it from the mirror in $mirror"
"${init[@]}" -plugin-dir="$mirror" >"$said" 2>&1 || { cat "$said" >&2; exit 1; }
