#!/bin/bash
# A one-node Ceph object gateway (monitor, one in-memory OSD, radosgw) with STS, on loopback.
#   radosgw.sh install          installs the packages (root)
#   radosgw.sh up DIRECTORY     starts it there and prints `export NAME=value` lines; again: the same lines
#   radosgw.sh down DIRECTORY   ends what this `up` started
# `up` prints AWS_ENDPOINT_URL, the keys of user `base`, and ROLE_ARN of role `s3app`, which that user may
# assume and which may use S3. With the printed CEPH_CONF, `radosgw-admin` and `ceph` work on it.
# RADOSGW_FURTHER: further lines of the gateway's configuration.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)

install_() {
    command -v radosgw >/dev/null && command -v ceph-mon >/dev/null &&
        command -v ceph-osd >/dev/null && command -v ceph >/dev/null && return
    local apt="apt-get -o DPkg::Lock::Timeout=600"
    $apt update -qq >&2
    DEBIAN_FRONTEND=noninteractive $apt install -y --no-install-recommends \
        radosgw ceph-mon ceph-osd ceph-common >&2
}

free_ports() { # N: so many ports that are free now
    python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in held])' "$1"
}

pids() { # the daemons of this directory that still run
    local file pid
    for file in "$state"/run/*.pid; do
        pid=$(cat "$file" 2>/dev/null) && [ -n "$pid" ] || continue
        if grep -qsaF "$state/ceph.conf" "/proc/$pid/cmdline"; then echo "$pid"; fi
    done
}

configuration() { # MONITOR-V2-PORT MONITOR-V1-PORT GATEWAY-PORT
    # cephx is needed: without it radosgw hangs. A manager daemon is not.
    cat <<C
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_host = [v2:127.0.0.1:$1,v1:127.0.0.1:$2]
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = $state/keyring
run_dir = $state/run
log_file = $state/\$name.log
admin_socket = $state/run/\$name.asok
pid_file = $state/run/\$name.pid
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_class_dir = /usr/lib/$(uname -m)-linux-gnu/rados-classes
[mon.a]
mon_data = $state/mon
mon_data_avail_crit = 1
[osd.0]
osd_data = $state/osd
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:$3
rgw_sts_key = abcdefghijklmnop
rgw_s3_auth_use_sts = true
rgw_thread_pool_size = 8
${RADOSGW_FURTHER:-}
C
}

step() { # CMD...: one step of the set-up; if it fails, everything goes
    if ! "$@" >>"$state/setup.log" 2>&1; then
        echo "failed: $*" >&2
        tail -n 5 "$state/setup.log" >&2
        down
        exit 1
    fi
}

await() { # SECONDS CMD...: until it succeeds
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $deadline ]; then
            echo "gave up waiting for: $*" >&2
            down
            exit 1
        fi
        sleep 0.2
    done
}

osd_is_up() { ceph osd stat | grep -q '1 up'; }

up() {
    install_
    if [ -s "$state/env" ] && [ "$(pids | wc -l)" = 3 ]; then
        cat "$state/env"
        return
    fi
    down
    mkdir -p "$state"/{mon,osd,run}
    cd "$state"
    local v2 v1 gateway fsid osd
    read -r v2 v1 gateway < <(free_ports 3)
    configuration "$v2" "$v1" "$gateway" >ceph.conf
    fsid=$(sed -n 's/^fsid = //p' ceph.conf) osd=$(cat /proc/sys/kernel/random/uuid)
    step ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
    step ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    step ceph-authtool keyring --gen-key -n client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx'
    step ceph-authtool keyring --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
    step monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$v2,v1:127.0.0.1:$v1]" monmap
    step ceph-mon -c "$CEPH_CONF" --mkfs -i a --monmap monmap --keyring keyring
    step ceph-mon -c "$CEPH_CONF" -i a
    step ceph osd new "$osd" 0
    step ceph auth import -i keyring
    step ceph-osd -c "$CEPH_CONF" -i 0 --mkfs --osd-uuid "$osd"
    step ceph osd crush add osd.0 1.0 root=default host=h
    step ceph-osd -c "$CEPH_CONF" -i 0
    await 60 osd_is_up
    step radosgw -c "$CEPH_CONF" -n client.rgw.a
    await 90 curl -sf "http://127.0.0.1:$gateway/"
    step radosgw-admin user create --uid=base --display-name=base --access-key=BASEKEY --secret=BASESECRET \
        --caps='roles=*;user-policy=*;oidc-provider=*'
    step radosgw-admin role create --role-name=s3app --path=/ --assume-role-policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam:::user/base"]},"Action":["sts:AssumeRole"]}]}'
    step radosgw-admin role-policy put --role-name=s3app --policy-name=p --policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":"arn:aws:s3:::*"}]}'
    cat >env.new <<N
export CEPH_CONF=$CEPH_CONF
export AWS_ENDPOINT_URL=http://127.0.0.1:$gateway
export AWS_ACCESS_KEY_ID=BASEKEY AWS_SECRET_ACCESS_KEY=BASESECRET
export AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1
export ROLE_ARN=arn:aws:iam:::role/s3app
N
    mv env.new env
    cat env
}

down() {
    [ -d "$state" ] || return 0
    local running pid
    running=$(pids)
    for pid in $running; do kill "$pid" 2>/dev/null || true; done
    for pid in $running; do timeout 15 tail --pid="$pid" -f /dev/null || kill -9 "$pid" 2>/dev/null || true; done
    cd /
    rm -rf "$state"
}

usage() {
    sed -n '2,7s/^# \?//p' "$HERE/radosgw.sh" >&2
    exit 64
}

[ "${1:-}" = install ] || [ $# -eq 2 ] || usage
[ -z "${2:-}" ] || mkdir -p "$2"
state=${2:+$(cd "$2" && pwd)}/radosgw
export CEPH_CONF=$state/ceph.conf
case $1 in
    install) install_ ;;
    up) up ;;
    down) down ;;
    *) usage ;;
esac
