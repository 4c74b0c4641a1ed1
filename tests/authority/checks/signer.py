"""keystoneclient's `Ec2Signer`: ten thousand random requests that it signs are taken, and none with another signature."""

import subprocess

from parts import HERE, OPENSTACK, told

SECONDS = 1200


def check_what_ec2signer_signs_is_verified(_directory):
    ended = subprocess.run(
        [OPENSTACK / "python", "-B", HERE / "signer_oracle.py"], cwd=HERE.parents[1], capture_output=True, text=True,
        timeout=SECONDS,
    )
    assert ended.returncode == 0 and ended.stdout.endswith(" passed, 0 failed\n"), told(ended)
