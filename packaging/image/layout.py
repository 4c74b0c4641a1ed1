#!/usr/bin/env python3
"""Writes an image from scratch: one layer with the files of a folder, in one archive that is an OCI layout and that
`docker load`, older ones too, and `podman load` read. The same files give the same bytes.

    layout.py --tree FOLDER --out FILE.tar --version VERSION --revision COMMIT --architecture amd64 --epoch SECONDS"""

import argparse
import datetime
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

UID = 65532  # as in `passwd`; the usual one of images whose user is not root
# Folders that the daemon writes to, with their modes. All of it can be mounted over.
WRITABLE = {"run/rolecall": 0o755, "var/lib/rolecall": 0o700}
PROGRAM = "/usr/bin/rolecall"
SECOND = 1_000_000_000
NAME = "rolecall"


def main():
    options = arguments()
    layer = layer_of(options.tree, options.epoch)
    packed = gzip.compress(layer, compresslevel=9, mtime=0)
    created = datetime.datetime.fromtimestamp(options.epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = as_json({
        "architecture": options.architecture,
        "config": configuration(labels(options, created)),
        "created": created,
        "history": [{"created": created, "created_by": "packaging/build image", "comment": "from scratch"}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(layer)}"]},
    })
    write(options, packed, config)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in [("tree", Path), ("out", Path), ("version", str), ("revision", str), ("architecture", str), ("epoch", int)]:
        parser.add_argument(f"--{name}", type=kind, required=True)
    return parser.parse_args()


def labels(options, created):
    """What OCI's annotations call it."""
    return {
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.description": "Hands temporary AWS credentials to programs: IMDS, container credentials",
        "org.opencontainers.image.version": options.version,
        "org.opencontainers.image.revision": options.revision,
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.vendor": "The rolecall project",
    }


def configuration(told):
    """How it is run. Health checks are docker's and podman's own: OCI has none, and leaves them alone."""
    return {
        "User": f"{UID}:{UID}",
        "Entrypoint": [PROGRAM],
        "Cmd": ["serve"],
        "WorkingDir": "/",
        "Env": ["PATH=/usr/bin", "HOME=/var/lib/rolecall"],
        # So that they can be written to where nothing else can, and are its user's.
        "Volumes": {f"/{name}": {} for name in WRITABLE},
        "StopSignal": "SIGTERM",
        "Labels": told,
        "Healthcheck": {
            "Test": ["CMD", PROGRAM, "healthcheck"],
            "Interval": 10 * SECOND,
            "Timeout": 5 * SECOND,
            "StartPeriod": 60 * SECOND,
            "Retries": 3,
        },
    }


def layer_of(tree, epoch):
    """The files as a tar, in the order of their names."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        members = {str(path.relative_to(tree)): path for path in tree.rglob("*")}
        folders = set(WRITABLE) | {str(above) for name in WRITABLE for above in Path(name).parents if above != Path(".")}
        for name in sorted(set(members) | folders):
            member, content = tarfile.TarInfo(name), None
            path = members.get(name)
            member.mtime, member.mode = epoch, 0o755
            if path is not None and path.is_symlink():
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
            elif path is not None and path.is_file():
                content = path.read_bytes()
                member.size, member.mode = len(content), path.stat().st_mode & 0o777
            else:
                member.type = tarfile.DIRTYPE
                if name in WRITABLE:
                    member.mode, member.uid, member.gid = WRITABLE[name], UID, UID
            archive.addfile(member, io.BytesIO(content) if content is not None else None)
    return packed.getvalue()


def write(options, layer, config):
    """The archive: blobs by their digests, OCI's index, and the list that docker made before there was OCI."""
    reference = f"{NAME}:{options.version}"
    manifest = as_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", layer)],
        "annotations": json.loads(config)["config"]["Labels"],
    })
    index = descriptor("application/vnd.oci.image.manifest.v1+json", manifest) | {
        "platform": {"architecture": options.architecture, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": f"docker.io/library/{reference}",
            "org.opencontainers.image.ref.name": reference,
        },
    }
    blobs = {f"blobs/sha256/{digest(blob)}": blob for blob in (layer, config, manifest)}
    files = blobs | {
        "index.json": as_json({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [index],
        }),
        "manifest.json": as_json([{
            "Config": f"blobs/sha256/{digest(config)}", "RepoTags": [reference],
            "Layers": [f"blobs/sha256/{digest(layer)}"],
        }]),
        "oci-layout": as_json({"imageLayoutVersion": "1.0.0"}),
    }
    with tarfile.open(options.out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted({"blobs", "blobs/sha256"} | set(files)):
            member = tarfile.TarInfo(name)
            member.mtime = options.epoch
            if name in files:
                member.mode, member.size = 0o644, len(files[name])
                archive.addfile(member, io.BytesIO(files[name]))
            else:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)


def descriptor(kind, blob):
    return {"mediaType": kind, "digest": f"sha256:{digest(blob)}", "size": len(blob)}


def digest(blob):
    return hashlib.sha256(blob).hexdigest()


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
