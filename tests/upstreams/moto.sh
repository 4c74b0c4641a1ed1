#!/bin/bash
# moto: a stand-in for AWS (STS, IAM, S3) on loopback.
#   moto.sh install            makes its environment in the cache
#   moto.sh up DIRECTORY       starts it there and prints `export NAME=value` lines; again: the same lines
#   moto.sh down DIRECTORY     ends what this `up` started
# `up` prints AWS_ENDPOINT_URL, region, and keys that moto takes. With MOTO_CHECK=1 signatures and
# policies are checked: the keys are then those of a user who may only assume
# arn:aws:iam::123456789012:role/s3app (ROLE_ARN), which in turn may use S3.
# ROLECALL_TEST_CACHE: where environments are kept (default $ROLECALL_CACHE/tests, /var/cache/rolecall/tests).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=python_environment.sh
. "$here/python_environment.sh"

install_() { python_environment moto "$here/moto.txt"; }

alive() { [ -s "$state/pid" ] && grep -qsa moto_server "/proc/$(cat "$state/pid")/cmdline"; }

port_of() { # PID: the port it listens on, once it does
    local inode
    for inode in $(find "/proc/$1/fd" -type l -printf '%l\n' 2>/dev/null | sed -n 's/^socket:\[\(.*\)\]$/\1/p'); do
        awk -v inode="$inode" '$10 == inode && $4 == "0A" { split($2, a, ":"); print a[2] }' "/proc/$1/net/tcp"
    done | head -n 1 | sed 's/^/0x/' | xargs -r printf '%d\n'
}

up() {
    install_
    mkdir -p "$state"
    if alive && [ -s "$state/env" ]; then
        cat "$state/env"
        return
    fi
    local checked=() port='' deadline=$((SECONDS + 60))
    [ -z "${MOTO_CHECK:-}" ] || checked=(INITIAL_NO_AUTH_ACTION_COUNT=5)
    env -u AWS_ENDPOINT_URL -u AWS_PROFILE "${checked[@]}" setsid "$cache/moto/bin/python" \
        "$cache/moto/bin/moto_server" -H 127.0.0.1 -p 0 >"$state/log" 2>&1 </dev/null &
    echo $! >"$state/pid"
    until port=$(port_of "$(cat "$state/pid")") && [ -n "$port" ] &&
        curl -sf -o /dev/null "http://127.0.0.1:$port/moto-api/"; do
        if ! kill -0 "$(cat "$state/pid")" 2>/dev/null || [ $SECONDS -ge $deadline ]; then
            cat "$state/log" >&2
            exit 1
        fi
        sleep 0.05
    done
    {
        echo "export AWS_ENDPOINT_URL=http://127.0.0.1:$port"
        echo "export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1"
        echo "export ROLE_ARN=arn:aws:iam::123456789012:role/s3app"
        if [ -n "${MOTO_CHECK:-}" ]; then
            seed "http://127.0.0.1:$port"
        else
            echo "export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=example"
        fi
    } >"$state/env.new"
    mv "$state/env.new" "$state/env"
    cat "$state/env"
}

seed() { # URL: the first five calls are not checked: user, its policy, its key, role, its policy
    AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x AWS_ENDPOINT_URL=$1 AWS_DEFAULT_REGION=us-east-1 \
        "$cache/moto/bin/python" - <<'P'
import json

import boto3

ROLE = "arn:aws:iam::123456789012:role/s3app"
iam = boto3.client("iam")


def policy(**statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


iam.create_user(UserName="base")
iam.put_user_policy(
    UserName="base", PolicyName="assume", PolicyDocument=policy(Action="sts:AssumeRole", Resource=ROLE)
)
key = iam.create_access_key(UserName="base")["AccessKey"]
iam.create_role(
    RoleName="s3app", AssumeRolePolicyDocument=policy(Principal={"AWS": "*"}, Action="sts:AssumeRole")
)
iam.put_role_policy(RoleName="s3app", PolicyName="s3", PolicyDocument=policy(Action="s3:*", Resource="*"))
print("export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s" % (key["AccessKeyId"], key["SecretAccessKey"]))
P
}

down() {
    [ -d "$state" ] || return 0
    if alive; then
        local pid
        pid=$(cat "$state/pid")
        kill "$pid" 2>/dev/null || true
        timeout 10 tail --pid="$pid" -f /dev/null || kill -9 "$pid" 2>/dev/null || true
    fi
    rm -rf "$state"
}

usage() {
    sed -n '2,9s/^# \?//p' "$0" >&2
    exit 64
}

[ "${1:-}" = install ] || [ $# -eq 2 ] || usage
state=${2:-}/moto
case $1 in
    install) install_ ;;
    up) up ;;
    down) down ;;
    *) usage ;;
esac
