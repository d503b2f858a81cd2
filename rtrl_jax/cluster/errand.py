"""A process that Ray runs where on a cluster a core is free: one run of a sweep, whose folder all machines share."""

import json
import os
import pathlib
import subprocess
import tempfile
import time
from contextlib import suppress

from rtrl_jax import processes
from rtrl_jax.cluster.host import installed
from rtrl_jax.cluster.joining import Cluster, not_installed

LOOK_S = 1.0  # between two questions how it is


class Errand:
    """What Ray places. The process dies with it, as each dies with who began it."""

    def __init__(self):
        self._process: subprocess.Popen | None = None

    def begin(self, module: str, name: str, told: dict, shared: str, log: str, wanted: dict) -> str:
        """Starts it; returns why it cannot be, or "".

        Args:
          module, name: as for `processes.command`.
          told: its standard input, as JSON, less `parent`, the id of who began it.
          shared: a file that is there if this machine sees the folder.
          log: what it prints is appended there.
          wanted: what must be installed.
        """
        here = os.uname().nodename
        if not pathlib.Path(shared).exists():
            return f"machine {here} does not see {pathlib.Path(shared).parent}: give a folder that all machines share"
        for package, version in installed().items():
            if wanted.get(package) != version:
                return f"machine {here} has {package} {version}, not {wanted.get(package)}: install the same on all"
        with open(log, "ab") as output, tempfile.TemporaryFile() as text:
            text.write(json.dumps({**told, "parent": os.getpid()}).encode())
            text.seek(0)
            self._process = subprocess.Popen(
                processes.command(module, name), stdin=text, stdout=output, stderr=output, start_new_session=True
            )
        return ""

    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        self._process.terminate()


class Elsewhere:
    """The driver's view of one, with what a sweep uses of `subprocess.Popen`. `lost` once its machine is gone."""

    def __init__(self, cluster: Cluster, memory: int, *what_to_begin):
        """Args: memory: bytes that it takes. what_to_begin: see `Errand.begin`."""
        self._cluster, self._actor = cluster, cluster.place(Errand, 1, memory=memory)
        self._asked, self._asks_at = self._actor.begin.remote(*what_to_begin), 0.0
        self._is_begun, self.lost, self.refused, self.returncode = False, False, "", None

    def poll(self) -> int | None:
        """The exit status, as of the last answer; asks again every LOOK_S."""
        if self.returncode is not None:
            return self.returncode
        try:
            if self._asked is None and time.monotonic() >= self._asks_at:
                self._asked, self._asks_at = self._actor.status.remote(), time.monotonic() + LOOK_S
            ready, found = self._cluster.outcome(self._asked) if self._asked is not None else (False, None)
        except self._cluster.gone as error:
            self.refused, self.returncode = not_installed(error), 1
            self.lost = not self.refused  # also one that was to begin on a machine of which Ray did not know yet
            return self.returncode
        if ready:
            self._asked = None
            if not self._is_begun:
                self._is_begun, self.refused = True, found
                self.returncode = 1 if found else None
            else:
                self.returncode = found
            if self.returncode is not None:
                self._cluster.kill(self._actor)
        return self.returncode

    def terminate(self) -> None:
        if self._is_begun:
            with suppress(self._cluster.gone):
                self._actor.terminate.remote()
        else:  # it still waits for a core
            self.kill()

    def kill(self) -> None:
        self._cluster.kill(self._actor)
        if self.returncode is None:
            self.returncode = -9

    def wait(self) -> None:
        """Nothing is left to wait for once it has been killed."""
