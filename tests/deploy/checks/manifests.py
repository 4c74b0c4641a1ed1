"""What is applied to a cluster: built, of the published schemas' form, and of no more rights than it needs."""

import kubernetes_validate
import yaml
from engine import DEPLOY, run
from kustomize import OVERLAYS, objects, text

# The first with native sidecars, and the newest whose schemas are published; what is for older ones, those too.
VERSIONS = ("1.29", "1.37")
OLDER = {"app": "1.26", "shop-plain": "1.26", "nodes": "1.26", "nodes-discovery": "1.26", "nodes-removal": "1.26"}


def check_every_overlay_is_of_the_published_schemas_form(_directory):
    assert len(OVERLAYS) >= 8, OVERLAYS
    for folder in OVERLAYS:
        for one in yaml.safe_load_all(text(folder)):
            for version in (*VERSIONS, *filter(None, [OLDER.get(folder.name)])):
                kubernetes_validate.validate(one, version, strict=True)


def check_what_is_not_of_that_form_is_noticed(_directory):
    for path, value in ((("spec", "template", "spec", "hostPid"), True), (("spec", "template", "spec", "containers"), {})):
        [daemon_set] = [one for one in objects("nodes") if one["kind"] == "DaemonSet"]
        place = daemon_set
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        try:
            kubernetes_validate.validate(daemon_set, VERSIONS[-1], strict=True)
        except kubernetes_validate.ValidationError:
            continue
        raise AssertionError(f"{path} was not noticed")


def check_firewall_tables_are_put_in_place_and_removed_as_one(_directory):
    for file in DEPLOY.glob("**/*.nft"):
        for _twice in range(2):
            run("nft", "--file", file)
        listed = run("nft", "list", "table", "inet", "rolecall")
        rules = [line.strip() for line in file.read_text().splitlines() if "dnat ip to" in line]
        assert listed.count("dnat ip to") == len(rules) >= 2, listed
        run("nft", "add table inet rolecall; delete table inet rolecall")
        run("nft", "add table inet rolecall; delete table inet rolecall")
        assert run("nft", "list", "ruleset").strip() == "" or "rolecall" not in run("nft", "list", "ruleset")


def check_sidecars_keep_to_the_standard_restricted(_directory):
    for overlay in ("shop", "shop-plain", "shop-on-nodes"):
        found = objects(overlay)
        [namespace] = [one for one in found if one["kind"] == "Namespace"]
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        for spec in pods(found):
            assert not any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")), overlay
            allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
            assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"]), spec["volumes"]
            for container in containers(spec):
                rights = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
                assert rights["runAsNonRoot"] is True and rights["runAsUser"] != 0, (overlay, container["name"])
                assert rights["allowPrivilegeEscalation"] is False and rights["capabilities"] == {"drop": ["ALL"]}
                assert rights["seccompProfile"] == {"type": "RuntimeDefault"} and rights["readOnlyRootFilesystem"] is True
                assert all("hostPort" not in port for port in container.get("ports", []))


def check_on_nodes_nobody_has_more_than_is_said(_directory):
    for overlay in ("nodes", "nodes-discovery", "nodes-metadata", "nodes-removal"):
        for spec in pods(objects(overlay)):
            for container in containers(spec):
                rights = {**spec["securityContext"], **container["securityContext"]}
                added = rights["capabilities"].get("add", [])
                assert rights["capabilities"]["drop"] == ["ALL"] and "privileged" not in rights
                assert added == (["NET_ADMIN"] if container["name"] == "network" else []), container["name"]
                assert rights["allowPrivilegeEscalation"] is False and rights["readOnlyRootFilesystem"] is True
                assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
                is_root = container["name"] in ("network", "runtime")
                assert (rights["runAsUser"] == 0) == is_root and rights.get("runAsNonRoot", False) != is_root
                engine = [mount for mount in container.get("volumeMounts", []) if mount["name"] == "engine"]
                assert bool(engine) == (container["name"] == "runtime"), "one container alone has the runtime's socket"


def check_the_api_server_is_asked_for_nothing_but_public_keys(_directory):
    of_rbac = {overlay.name: [one for one in yaml.safe_load_all(text(overlay)) if "rbac" in one["apiVersion"]] for overlay in OVERLAYS}
    [binding] = of_rbac.pop("nodes-discovery")
    assert binding["roleRef"]["name"] == "system:service-account-issuer-discovery"
    assert not any(of_rbac.values()), of_rbac
    for overlay in OVERLAYS:
        for spec in pods(yaml.safe_load_all(text(overlay))):
            assert overlay.name == "app" or spec["automountServiceAccountToken"] is False, overlay


def pods(found):
    return [one["spec"]["template"]["spec"] for one in found if one["kind"] in ("Deployment", "DaemonSet")]


def containers(spec):
    return [*spec.get("initContainers", []), *spec["containers"]]
