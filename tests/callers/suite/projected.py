"""A volume of one token, as a kubelet projects it into a pod."""


class Projected:
    """A volume of one token as a kubelet keeps it: a folder behind a link that is replaced as a whole."""

    def __init__(self, machine, folder):
        self._machine = machine
        self._turn = 0
        self.folder = folder
        self.file = f"{folder}/token"
        machine.run("mkdir", "--parents", folder)
        machine.run("ln", "--symbolic", "..data/token", self.file)

    def write(self, token):
        self._turn += 1
        turn = f"..turn-{self._turn}"
        self._machine.put(f"{self.folder}/{turn}/token", token)
        self._machine.run("ln", "--symbolic", turn, f"{self.folder}/..next")
        self._machine.run("mv", "--no-target-directory", f"{self.folder}/..next", f"{self.folder}/..data")
