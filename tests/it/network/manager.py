"""A service manager for one daemon: `manager.py CONFIGURATION (TOLD ACTION)... TOLD` starts it with that configuration,
waits until it tells something that has the text TOLD in it, then does ACTION in a shell, and so on. Prints each thing that was waited for. The daemon ends
when this program does."""

import ctypes
import os
import signal
import socket
import subprocess
import sys

DEADLINE_SECONDS = 60
PR_SET_PDEATHSIG = 1


def ends_with_this():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(rolecall, configuration, steps):
    path = os.path.abspath("notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(path)
        ear.settimeout(DEADLINE_SECONDS)
        command = [rolecall, "serve", "--config", configuration]
        variables = {**os.environ, "NOTIFY_SOCKET": path}
        daemon = subprocess.Popen(command, env=variables, preexec_fn=ends_with_this)
        try:
            for number, step in enumerate(steps):
                if number % 2:
                    subprocess.run(["bash", "-euc", step, rolecall], check=True)
                    continue
                told = ""
                while step not in told:
                    told = ear.recv(4096).decode()
                print("told", told.replace("\n", " "), flush=True)
        finally:
            daemon.kill()
            daemon.wait()


main(os.environ["ROLECALL"], sys.argv[1], sys.argv[2:])
