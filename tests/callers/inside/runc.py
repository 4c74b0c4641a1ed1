#!/usr/bin/python3
"""runc for containerd's pods, without their limits: the nested machine has no controllers to set them with."""

import json
import os
import sys

if "create" in sys.argv:
    file = os.path.join(sys.argv[sys.argv.index("--bundle") + 1], "config.json")
    with open(file) as read:
        bundle = json.load(read)
    resources = bundle["linux"].get("resources", {})
    bundle["linux"]["resources"] = {"devices": resources.get("devices", [])}
    with open(file, "w") as written:
        json.dump(bundle, written)
os.execv("/usr/sbin/runc", ["runc", *sys.argv[1:]])
