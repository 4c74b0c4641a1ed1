#!/bin/bash
# Readies the machine for containers: devices, settings of podman's, and an image of links only, which has the machine's
# tools once /usr is mounted into it.
set -euo pipefail
mknod /dev/fuse c 10 229
chmod 0666 /dev/fuse /dev/net/tun

# This kernel offers no controllers to nested systemds, and nobody here may raise limits.
cat >/etc/containers/containers.conf <<'T'
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
pids_limit = 0
[engine]
runtime = "runc"
T

root=$(mktemp -d)
mkdir -p "$root"/{usr,tmp,etc,proc,sys,dev,run,root,opt,var/tmp}
chmod 0755 "$root"
chmod 1777 "$root"/{tmp,var/tmp}
for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
cp -L /etc/ld.so.cache /etc/nsswitch.conf "$root/etc/"
tar -C "$root" -c . >/var/tmp/image.tar
rm -r "$root"

systemctl start podman.socket

# Every runtime gets the image; what is granted by its image has the same under another name.
docker import - subject </var/tmp/image.tar >/dev/null
docker tag subject granted:1
podman import - subject </var/tmp/image.tar
podman tag subject localhost/granted:1
docker network create --subnet 172.30.0.0/24 --opt com.docker.network.bridge.name=dnat0 redirected >/dev/null
pause=$(mktemp -d)
install -m 0755 /bin/busybox "$pause/sleep"
tar -C "$pause" -c . | docker import --change 'ENTRYPOINT ["/sleep", "2147483647"]' - pause:1 >/dev/null
rm -r "$pause"
docker save subject pause:1 | ctr --namespace k8s.io images import -

# What reaches the metadata address from this bridge is led to a listener of its own.
sysctl --quiet net.ipv4.conf.dnat0.route_localnet=1
nft -f - <<'T'
table ip callers {
  chain prerouting {
    type nat hook prerouting priority dstnat
    iifname "dnat0" ip daddr 169.254.169.254 tcp dport 80 dnat to 127.0.0.1:8181
  }
}
T
