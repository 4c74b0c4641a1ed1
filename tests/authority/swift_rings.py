"""Where OpenStack's object storage keeps what: rings of one device, in this directory.

    swift_rings.py DIRECTORY KIND=PORT…

Runs in the environment of `openstack.txt`."""

import sys

from swift.common.ring import RingBuilder


def main(place, words):
    for word in words:
        kind, _, port = word.partition("=")
        builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
        device = {"ip": "127.0.0.1", "port": int(port), "device": "d", "region": 1, "zone": 1, "weight": 1.0}
        builder.add_dev(device | {"replication_ip": device["ip"], "replication_port": device["port"], "meta": ""})
        builder.rebalance()
        builder.get_ring().save(f"{place}/{kind}.ring.gz")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
