"""All that stands when the checks begin: the machine, the daemon in it, the upstream, and the subjects of each kind."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cluster_issuer
import scripted_sts
import witness

from suite import INSIDE, Failed, configuration, cri, places, projected, sdks
from suite.daemon import Daemon
from suite.kinds import CONTAINER_USERS, GROUPS, USERS
from suite.machine import Machine
from suite.sdks import Upstream


class Host:
    def __init__(self, kinds):
        self.kinds = kinds
        for address in (places.WITNESS_ADDRESS, places.POD_IDENTITY_ADDRESS):
            subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
        self.machine = Machine()
        sts = scripted_sts.ScriptedSts()
        self.upstream = Upstream(sts, witness.Witness(sts.known_secrets, ("0.0.0.0", 0)), places.WITNESS_ADDRESS)
        prepare(self.machine)
        self.users = {user: self.machine.add_user(user) for user in USERS}
        for group, member in GROUPS.items():
            self.machine.run("groupadd", group)
            self.machine.run("gpasswd", "--add", member, group)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._give_image, CONTAINER_USERS))
        self.machine.run("systemctl", "--user", "--machine=erin@", "start", "podman.socket")
        self.cri = cri.Cri(self.machine)
        self.daemon = Daemon(self.machine)
        self.daemon.install()
        self.issuer = cluster_issuer.Issuer(Path(os.environ["MACHINE"], "issuer"))
        self.machine.put(configuration.ISSUER_CERTIFICATE, self.issuer.certificate.read_bytes())
        self.volumes = {}
        self.daemon.start(self.configuration())
        self.subjects = {}
        self.siblings = {}
        with ThreadPoolExecutor(4) as pool:
            for kind in kinds:
                self.subjects[kind.title] = pool.submit(kind.start, self)
                self.siblings[kind.title] = pool.submit(kind.sibling, self)
        for group in (self.subjects, self.siblings):
            group.update({title: started.result() for title, started in group.items()})

    def _give_image(self, user):
        self.machine.user_service(user, "podman", "import", "--quiet", "/var/tmp/image.tar", "localhost/subject")
        self.machine.user_service(user, "podman", "tag", "localhost/subject", "localhost/granted:1")

    def reconfigure(self, **how):
        """Has the daemon take another configuration; see configuration.of."""
        self.daemon.reload(self.configuration(**how))

    def kind(self, title):
        """The kind of this title."""
        return next(kind for kind in self.kinds if kind.title == title)

    def configuration(self, **how):
        return configuration.of(self.kinds, self.upstream.sts.url, self.issuer.url, **how)

    def project(self, name, token):
        """A volume with this token, as a kubelet keeps one."""
        volume = projected.Projected(self.machine, f"/run/projected/{name}")
        volume.write(token)
        self.volumes[name] = volume
        return volume

    def metadata(self, subject, roles, environment=None):
        """What a subject is told of its role and of these by name; see inside/metadata.py."""
        ran = subject.run(["/usr/bin/python3", f"{places.TOOLS}/metadata.py", *roles], sdks.BASE | (environment or {}))
        if ran.status != 0:
            raise Failed(f"{subject.name} could not ask: {ran.errors[-400:]}")
        return json.loads(ran.output)


def prepare(machine):
    """What every subject needs of the machine."""
    machine.run("mkdir", "--parents", places.TOOLS)
    for file in INSIDE.iterdir():
        machine.put(f"{places.TOOLS}/{file.name}", file.read_bytes(), 0o755)
    machine.run("install", "--directory", "--mode=1777", places.SOCKETS)
    machine.put("/etc/containerd/config.toml", cri.CONFIGURATION)
    machine.put("/etc/cni/net.d/10-pods.conflist", cri.NETWORK)
    machine.run("systemctl", "restart", "containerd.service")
    machine.run("bash", f"{places.TOOLS}/prepare.sh")
