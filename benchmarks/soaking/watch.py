"""What each process of a run holds, looked at from outside: private memory, descriptors, threads."""

import pathlib
import time
from typing import NamedTuple

import numpy as np
import psutil

from soaking.run import Run

PRIVATE = ("RssAnon:", "VmSwap:")
MB = 1e6


class Series(NamedTuple):
    """One process, [n] each."""

    seconds: np.ndarray  # since the first tick
    mb: np.ndarray
    descriptors: np.ndarray
    threads: np.ndarray

    def between(self, begin_s: float, end_s: float) -> "Series":
        inside = (self.seconds >= begin_s) & (self.seconds < end_s)
        return Series(*(values[inside] for values in self))


class Watch:
    """Takes a sample of every process of a run at each `look`."""

    def __init__(self, run: Run):
        self._run = run
        self._samples = {}  # by process, in the order they were first seen
        self._names = {}

    def look(self) -> None:
        now = time.monotonic()
        for name, process in self._run.processes().items():
            try:
                sample = (now, private_mb(process.pid), process.num_fds(), process.num_threads())
            except (psutil.NoSuchProcess, OSError, KeyError):  # it has just ended
                continue
            self._samples.setdefault(process, []).append(sample)
            self._names[process] = name

    def until_it_ends(self, every_s: float, after_look=lambda: None) -> None:
        """Looks until the run is over."""
        at = time.monotonic()
        while self._run.exit_status() is None:
            self.look()
            after_look()
            at = max(at + every_s, time.monotonic())
            time.sleep(max(0.0, at - time.monotonic()))

    def series(self, began_s: float) -> dict[str, Series]:
        """By name, of the process that had it last. Args: began_s: the first tick, time.monotonic()."""
        found = {}
        for process, samples in self._samples.items():
            seconds, *values = np.array(samples, float).T
            found[self._names[process]] = Series(seconds - began_s, *values)
        return found

    @property
    def replaced(self) -> int:
        """Processes whose name another has taken."""
        return len(self._names) - len(set(self._names.values()))


def private_mb(pid: int) -> float:
    """Memory that is this process's alone and that no file backs: not the board, not the code.

    The kernel's RssAnon and VmSwap. USS would count pages of the board that only one process has touched so far.

    Raises KeyError or OSError for a process that has ended.
    """
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    kb = {words[0]: int(words[1]) for line in lines if (words := line.split()) and words[0] in PRIVATE}
    return sum(kb[name] for name in PRIVATE) * 1024 / MB
