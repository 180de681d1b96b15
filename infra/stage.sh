#!/usr/bin/env bash
# Makes, changes or removes the stack of one stage, or says what it would: stage.sh plan|apply|destroy STAGE [arguments for Terraform].
#
# Each stage has a Terraform workspace, and so a state, of its own, and its settings in stages/<stage>.tfvars if that file is there.
set -euo pipefail
command=${1:?plan, apply or destroy}
stage=${2:?name the stage: STAGE=dev}
shift 2

cd "$(dirname "$0")"
architecture=$(sed -n 's/^architecture *= *"\(.*\)"/\1/p' "stages/$stage.tfvars" 2>/dev/null || true)
packages=../target/package/${architecture:-arm64}
arguments=(-var "stage=$stage")
if [ -f "stages/$stage.tfvars" ]; then
    arguments+=(-var-file "stages/$stage.tfvars")
fi
if [ -n "${PACKAGE_DIR:-}" ]; then
    packages=$PACKAGE_DIR
    arguments+=(-var "package_dir=$packages")
fi

if [ "$command" != destroy ]; then
    for function in transform commit gateway query authorizer hot-writer maintain report loader; do
        if [ ! -f "$packages/$function.zip" ]; then
            echo "$packages/$function.zip is not there: run \`make package\` first" >&2
            exit 1
        fi
    done
fi

./init.sh
terraform workspace select -or-create "$stage" >/dev/null
# A plan that was looked at holds its own variables: nothing else is done than what it says.
if [ "$command" = apply ] && [ -n "${PLAN:-}" ]; then
    arguments=()
    set -- "$@" "$PLAN"
fi
# Terraform shows what it is going to do, and asks; -auto-approve among the arguments says yes beforehand.
terraform "$command" ${arguments[@]+"${arguments[@]}"} "$@"
