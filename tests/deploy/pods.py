"""A kubelet's part: the containers of a pod's manifest run by docker, in the order, with the rights, the volumes and the
probes that the manifest says. Volumes are as a kubelet makes them: empty ones open to all, what is projected behind a
link."""

import json
import os
import urllib.request
from pathlib import Path

from engine import APP, PAUSE, ROLECALL, await_, engine


class Pod:
    """A pod while it is used as a context; `tokens` gives a service account's token for an audience."""

    def __init__(self, objects, workload, directory, tokens=None, sockets=None, commands=None):
        kind, name = workload
        self.objects = objects
        self.spec = find(objects, kind, name)["spec"]["template"]["spec"]
        self._directory = Path(directory)
        self.sockets = sockets or {}
        self._tokens, self._commands = tokens, commands or {}
        self._containers = {}
        self._sidecars = []
        self._pause = None

    def __enter__(self):
        docker = engine()
        self._volumes = {volume["name"]: self._volume(volume) for volume in self.spec["volumes"]}
        if not self.spec.get("hostNetwork"):
            self._pause = docker("run", "--detach", PAUSE).strip()
        try:
            self._start()
        except BaseException:
            for name in self._containers:
                print(f"{name}: {self.logs(name)}", flush=True)
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        engine()("rm", "--force", *filter(None, [*self._containers.values(), self._pause]), check=False)

    def _start(self):
        docker = engine()
        for container in self.spec.get("initContainers", []):
            name = self._run(container)
            if container.get("restartPolicy") == "Always":
                self._sidecars.append(container["name"])
                self._await(container)
            else:
                status = docker("wait", name).strip()
                assert status == "0", f"{container['name']} ended with {status}: {docker.logs(name)}"
        for container in self.spec["containers"]:
            self._run(container)
        for container in self.spec["containers"]:
            self._await(container)

    def _await(self, container):
        name = container["name"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if probe in container:
                well = await_(f"{name}'s {probe}", lambda: self.probe(name, container[probe]) or self._has_ended(name))
                assert well is True, f"{name} has ended"

    def _has_ended(self, name):
        return "ended" if engine().state(self._containers[name])["Status"] == "exited" else None

    def probe(self, name, probe):
        """Whether a container is found well."""
        if "exec" in probe:
            asked = engine()("exec", self._containers[name], *probe["exec"]["command"], check=False)
            return asked.returncode == 0
        get = probe["httpGet"]
        ports = {port["name"]: port["containerPort"] for port in container_of(self.spec, name)["ports"]}
        try:
            with urllib.request.urlopen(f"http://{self.address()}:{ports[get['port']]}{get['path']}", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def address(self):
        """Where the kubelet finds it."""
        if self._pause is None:
            return "127.0.0.1"
        return engine()("inspect", "--format", "{{.NetworkSettings.IPAddress}}", self._pause).strip()

    def inside(self, name, script):
        """What a line of bash prints in one of its containers."""
        return engine().inside(self._containers[name], script)

    def logs(self, name):
        """What one of its containers printed."""
        return engine().logs(self._containers[name])

    def terminate(self):
        """Ends it as a kubelet does: all containers at once, then native sidecars, last first. Gives exit statuses."""
        docker = engine()
        ordinary = [name for name in self._containers if name not in self._sidecars]
        for names in (ordinary, *([name] for name in reversed(self._sidecars))):
            ids = [self._containers[name] for name in names]
            docker("kill", "--signal", "TERM", *ids, check=False)
            docker("wait", *ids)
        return {name: docker.state(id)["ExitCode"] for name, id in self._containers.items()}

    def _run(self, container):
        name = container["name"]
        rights = {**self.spec.get("securityContext", {}), **container["securityContext"]}
        options = ["--user", f"{rights['runAsUser']}:{rights['runAsGroup']}"]
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}, name
        if "fsGroup" in rights:
            options += ["--group-add", rights["fsGroup"]]
        if rights["readOnlyRootFilesystem"]:
            options.append("--read-only")
        if not rights["allowPrivilegeEscalation"]:
            options += ["--security-opt", "no-new-privileges:true"]
        options += [f"--cap-drop={each}" for each in rights["capabilities"]["drop"]]
        options += [f"--cap-add={each}" for each in rights["capabilities"].get("add", [])]
        options += ["--network", f"container:{self._pause}" if self._pause else "host"]
        options += ["--pid", "host"] if self.spec.get("hostPID") else []
        for variable in container.get("env", []):
            options += ["--env", f"{variable['name']}={variable['value']}"]
        # A volume at a path comes before one below it.
        for mount in sorted(container.get("volumeMounts", []), key=lambda mount: mount["mountPath"]):
            mode = "ro" if mount.get("readOnly") else "rw"
            options += ["--volume", f"{self._volumes[mount['name']]}:{mount['mountPath']}:{mode}"]
        image = ROLECALL if "/rolecall:" in container["image"] else APP
        command = self._commands.get(name, container["command"])
        docker = engine()
        created = docker("create", *options, "--entrypoint", command[0], image, *command[1:]).strip()
        self._containers[name] = created
        docker("start", created)
        return created

    def _volume(self, volume):
        place = self._directory / "volumes" / volume["name"]
        group = self.spec.get("securityContext", {}).get("fsGroup")
        if "hostPath" in volume:
            return self.sockets[volume["hostPath"]["path"]]
        place.mkdir(parents=True)
        if "emptyDir" in volume:
            os.chown(place, 0, group or 0)
            place.chmod(0o2777 if group else 0o777)
        elif "configMap" in volume:
            project(place, self._config_map(volume["configMap"]), 0o644, group)
        else:
            for source in volume["projected"]["sources"]:
                if "configMap" in source:
                    project(place, self._config_map(source["configMap"]), 0o644, group)
                else:
                    wanted = source["serviceAccountToken"]
                    project(place, {wanted["path"]: self._tokens(wanted["audience"])}, 0o640 if group else 0o644, group)
        return place

    def _config_map(self, source):
        data = find(self.objects, "ConfigMap", source["name"])["data"]
        items = source.get("items", [{"key": key, "path": key} for key in data])
        return {item["path"]: data[item["key"]] for item in items}


def project(place, files, mode, group):
    """Files of root's in a folder behind a link, and links to them."""
    behind = place / "..data"
    if not behind.exists():
        (place / "..first").mkdir()
        behind.symlink_to("..first")
    for name, content in files.items():
        file = behind / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        os.chown(file, 0, group or 0)
        file.chmod(mode)
        top = Path(name).parts[0]
        if not (place / top).is_symlink():
            (place / top).symlink_to(Path("..data") / top)


def find(objects, kind, name):
    """The one object of this kind whose name begins so."""
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"].startswith(name)]
    exact = [one for one in found if one["metadata"]["name"] == name]
    [only] = exact or found
    return only


def container_of(spec, name):
    """One container of a pod's."""
    [only] = [one for one in (*spec.get("initContainers", []), *spec["containers"]) if one["name"] == name]
    return only


def with_drop_in(objects, workload, drop_ins, file, content):
    """Adds a drop-in to a workload's configuration, as an overlay of the operator's would."""
    find(objects, "ConfigMap", drop_ins)["data"][file] = content
    spec = find(objects, *workload)["spec"]["template"]["spec"]
    for volume in spec["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            if source.get("configMap", {}).get("name", "").startswith(drop_ins):
                source["configMap"]["items"].append({"key": file, "path": f"rolecall.d/{file}"})
                return json.loads(json.dumps(objects))
    raise AssertionError(f"{workload} has no {drop_ins}")
