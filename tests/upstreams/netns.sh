#!/bin/bash
# A network namespace with the metadata addresses on its lo: 169.254.169.254, 169.254.170.2,
# 169.254.170.23, fd00:ec2::254 and fd00:ec2::23. Nothing in it reaches outside. Needs root.
#   netns.sh up NAME            makes it; again: leaves it
#   netns.sh exec NAME CMD...   runs CMD in it as root; cgroups stay visible
#   netns.sh as NAME UID CMD... runs CMD in it without any privilege
#   netns.sh down NAME          removes it
set -euo pipefail

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2" >&2
}

# Two `ip netns` at a time get in each other's way.
alone() {
    exec 9>/run/lock/rolecall-netns
    flock 9
}

up() {
    need ip iproute2
    alone
    [ ! -e "/run/netns/$1" ] || return 0
    ip netns add "$1"
    ip -n "$1" link set lo up
    local address
    for address in 169.254.169.254 169.254.170.2 169.254.170.23; do
        ip -n "$1" addr add "$address/32" dev lo
    done
    [ -e /proc/net/if_inet6 ] || return 0
    for address in fd00:ec2::254 fd00:ec2::23; do
        ip -n "$1" addr add "$address/128" dev lo nodad
    done
}

usage() {
    sed -n '2,7s/^# \?//p' "$0" >&2
    exit 64
}

[ $# -ge 2 ] || usage
verb=$1 name=$2
shift 2
case $verb in
    up) up "$name" ;;
    exec) exec nsenter --net="/run/netns/$name" "$@" ;;
    as)
        uid=$1
        shift
        exec nsenter --net="/run/netns/$name" setpriv --reuid "$uid" --regid "$uid" --clear-groups \
            --inh-caps=-all --bounding-set=-all "$@"
        ;;
    down)
        alone
        [ ! -e "/run/netns/$name" ] || ip netns del "$name"
        ;;
    *) usage ;;
esac
