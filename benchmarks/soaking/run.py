"""A run in processes of its own, seen from outside: which there are, what it printed, what it leaves behind."""

import contextlib
import os
import pathlib
import re
import secrets
import subprocess
import sys
import time

import numpy as np
import psutil

from rtrl_jax.telemetry.tail import KINDS

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARK = "RTRL_SOAK"  # an environment variable, which whatever the run starts inherits
PATIENCE_S = 180.0  # for a dozen processes that compile on two cores
GOING_S = 5.0  # for processes to end once they are killed
SUPERVISOR = "supervisor"


class Run:
    """launch/run.py with its own mark. As a context manager it ends whatever is left of it.

    `folder` is the run's, `printed` a file with what it said.
    """

    def __init__(self, folder: pathlib.Path, *flags: str):
        """Args: flags: for launch/run.py, without --run_dir."""
        self.folder = folder
        self.printed = folder.with_name(f"{folder.name}-{secrets.token_hex(2)}.log")
        self._mark = secrets.token_hex(16)
        self._names = {}  # by process, once known
        with open(self.printed, "wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "launch" / "run.py"), *flags, f"--run_dir={folder}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, MARK: self._mark},
                cwd=ROOT,
            )
        self._supervisor = psutil.Process(self._process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it goes on."""
        return self._process.poll()

    def wait(self, timeout_s: float) -> int:
        """Its exit status. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout_s)

    def said(self) -> str:
        return self.printed.read_text(errors="replace")

    def address(self) -> str:
        """Of its page. Waits until it is printed."""
        return self.wait_for(lambda: re.search(r"watched at (http://\S+)", self.said()), "did not name its page")[1]

    def ticks(self) -> np.ndarray:
        """TICK records so far."""
        path = self.folder / "ticks.raw"
        whole = path.stat().st_size // KINDS["ticks"].itemsize if path.exists() else 0
        return np.fromfile(path, KINDS["ticks"], count=whole) if whole else np.empty(0, KINDS["ticks"])

    def wait_for(self, condition, otherwise: str, patience_s: float = PATIENCE_S):
        """What `condition()` returns once that is true. Raises RuntimeError if the run ends first, or after `patience_s`."""
        deadline = time.monotonic() + patience_s
        while not (value := condition()):
            if self.exit_status() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the run {otherwise}: {' / '.join(self.said().splitlines()[-3:])}")
            time.sleep(0.05)
        return value

    def processes(self) -> dict[str, psutil.Process]:
        """Those that live, by name: supervisor, environment, inference 0, …, learner 0, …, page."""
        found = {SUPERVISOR: self._supervisor}
        try:
            for child in self._supervisor.children(recursive=True):
                if name := self._name(child):
                    found[name] = child
        except psutil.NoSuchProcess:
            return {}
        return found if self._supervisor.status() != psutil.STATUS_ZOMBIE else {}

    def _name(self, process: psutil.Process) -> str | None:
        """None for one that is dead, or has not yet become what it will be."""
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            if process not in self._names:
                words = process.cmdline()
                if not words or words == self._supervisor.cmdline():  # between fork and exec
                    return None
                program = next((at for at, word in enumerate(words) if "rtrl_jax.realtime.child" in word), None)
                self._names[process] = (
                    process.name() if program is None else words[program + 2]
                )  # child.py NAME RUN_DIR
            return self._names[process]
        except (psutil.NoSuchProcess, IndexError):
            return None

    def kill(self) -> None:
        """SIGKILL to all of it at once, the supervisor first, so that it replaces nobody."""
        living = list(self.processes().values())
        if self.exit_status() is None:
            self._process.kill()
        for process in [*living, *self.orphans(wait_s=0.0)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def orphans(self, wait_s: float = GOING_S) -> list[psutil.Process]:
        """Processes with its mark that still live, the supervisor aside, once they have had `wait_s` to go."""
        return _what_stays(self._marked, wait_s)

    def _marked(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != self.pid and process.environ().get(MARK) == self._mark:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def segments(self, wait_s: float = GOING_S) -> list[str]:
        """Shared memory of its board that still exists, with a name or held open by somebody, once it has had `wait_s` to go."""
        return _what_stays(self._segments, wait_s)

    def _segments(self) -> list[str]:
        stem = f"rtrl_jax-{self.pid}-"
        named = [str(path) for place in (pathlib.Path("/dev/shm"), self.folder) for path in place.glob(f"{stem}*")]
        held = []
        for process in psutil.process_iter():
            try:
                folder = f"/proc/{process.pid}/fd"
                held += [
                    f"{process.pid}:{link}" for link in os.listdir(folder) if stem in os.readlink(f"{folder}/{link}")
                ]
            except OSError:
                continue
        return named + held


def _what_stays(look, wait_s: float) -> list:
    """What `look()` still finds after `wait_s`: a process that is killed takes a moment to go."""
    deadline = time.monotonic() + wait_s
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
