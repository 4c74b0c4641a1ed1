"""What kustomize makes of a folder of deploy/."""

import os

import yaml
from engine import DEPLOY, run

# Those that are applied, each on its own; components are part of others.
OVERLAYS = sorted(path.parent for path in DEPLOY.glob("**/kustomization.yaml") if "kind: Kustomization" in path.read_text())


def text(folder):
    """The manifests of a folder."""
    return run(os.environ["ROLECALL_KUSTOMIZE"], "build", folder)


def objects(name):
    """The objects of an overlay."""
    return list(yaml.safe_load_all(text(DEPLOY / "overlays" / name)))
