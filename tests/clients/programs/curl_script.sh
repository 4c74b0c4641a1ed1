#!/bin/bash
# What a careful shell script does with curl: it keeps its token, renews it when told 401, and asks
# the container endpoint instead when that is named. Lines in and out: see asking.py.
set -u
base=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
base=${base%/}/latest
token=

get() { # URL HEADER: body on standard output; the status is left in $status
    local answer
    answer=$(curl -s -m 5 -w '\n%{http_code}' ${2:+-H "$2"} "$1")
    status=${answer##*$'\n'}
    body=${answer%$'\n'*}
}

metadata() { # PATH: as get, with a token that is renewed once
    local try
    for try in kept fresh; do
        if [ -z "$token" ] || [ "$try" = fresh ]; then
            token=$(curl -sf -m 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 21600' \
                "$base/api/token") || { status=000 body=; return; }
        fi
        get "$base/meta-data/$1" "X-aws-ec2-metadata-token: $token"
        [ "$status" = 401 ] || return 0
    done
}

field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" <<<"$body" | head -n 1; }

ask() {
    if [ -n "${AWS_CONTAINER_CREDENTIALS_FULL_URI:-}" ]; then
        get "$AWS_CONTAINER_CREDENTIALS_FULL_URI" \
            "${AWS_CONTAINER_AUTHORIZATION_TOKEN:+Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN}"
    else
        metadata iam/security-credentials/
        [ "$status" = 200 ] && metadata "iam/security-credentials/$body"
    fi
    if [ "$status" != 200 ]; then
        echo "error HTTP $status $body" | tr -s '\n' ' '
        echo
        return
    fi
    body=$(tr -d '\n' <<<"$body")
    local key secret session
    key=$(field AccessKeyId) secret=$(field SecretAccessKey) session=$(field Token)
    echo "key $key $(printf '%s\n%s' "$secret" "$session" | sha256sum | cut -c1-16)"
}

while read -r _; do ask; done
