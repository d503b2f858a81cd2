"""What Ray places on another machine: an actor that says what is installed there, starts the bridge and passes on what it says.

It imports nothing that sizes a thread pool, and stays out of the way of what goes on each tick.
"""

import hashlib
import json
import os
import pathlib
import queue
import subprocess
import tempfile
import threading

from rtrl_jax import processes
from rtrl_jax.telemetry.summary import versions

MOST_LINES = 40
GRACE_S = 3.0


def fingerprint() -> str:
    """Of this package's sources: two that say the same version may still differ."""
    root, found = pathlib.Path(__file__).parent.parent, hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), *root.rglob("*.cpp")]):
        found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:12]


def installed() -> dict[str, str]:
    """What must be the same on all machines."""
    return {**versions(), "sources of rtrl_jax": fingerprint()}


class Host:
    """One crew's."""

    def __init__(self):
        self._process: subprocess.Popen | None = None
        self._said: queue.SimpleQueue = queue.SimpleQueue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this is

    def describe(self) -> dict:
        """Which machine this is, and what is installed on it."""
        import ray

        return {"installed": installed(), "machine": ray.get_runtime_context().get_node_id()}

    def begin(self, message: dict) -> None:
        """Starts the bridge. Args: message: see `node`, less the id of this process."""
        text = json.dumps({**message, "supervisor": os.getpid()})
        with tempfile.TemporaryFile() as told:
            told.write(text.encode())
            told.seek(0)
            self._process = subprocess.Popen(
                processes.command("rtrl_jax.cluster.node", message["machine"]),
                stdin=told,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout:
            self._said.put(json.loads(line))

    def look(self) -> dict:
        """What the bridge has said since the last look, and how it ended if it has."""
        events = []
        while not self._said.empty():
            events.append(self._said.get())
        status = self._process.poll() if self._process else None
        return {"events": events, "status": status, "trace": self._trace() if status else ""}

    def _trace(self) -> str:
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode(errors="replace").splitlines()[-MOST_LINES:])

    def end(self) -> None:
        """Waits for the bridge, and so for its crew, to end by itself; for a while."""
        if self._process is None:
            return
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
