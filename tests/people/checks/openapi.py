"""The description of people's APIs, held against the standard by a validator that others publish."""

import json
import os
import subprocess
from pathlib import Path

VALIDATOR = os.environ.get("ROLECALL_OPENAPI_VALIDATOR", "")
DESCRIPTION = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


def check_the_published_description_is_valid(_directory):
    told = validated(DESCRIPTION)
    assert told.returncode == 0, told.stdout + told.stderr


def check_a_description_that_breaks_the_standard_is_not(directory):
    broken = json.loads(DESCRIPTION.read_text())
    del broken["info"]["version"]
    (directory / "broken.json").write_text(json.dumps(broken))
    assert validated(directory / "broken.json").returncode != 0


def validated(path):
    return subprocess.run([VALIDATOR, path], capture_output=True, text=True, timeout=120)
