"""Which cores this process may run on, in the order to give them out, and how much of them it is granted.

Two hardware threads of one core share its units: the second one comes only when every core has been given its first. Cores of one
memory node come together, since the board lies where the environment's process first touches it.
"""

import os
import pathlib
from typing import NamedTuple

from rtrl_jax import memory

PROCESSORS = pathlib.Path("/sys/devices/system/cpu")


class _Thread(NamedTuple):
    """A hardware thread, by which the order is made."""

    rank: int  # among the threads of its core that this process may use
    node: int
    package: int
    core: int
    number: int


def cores(allowed: set[int] | None = None, processors: pathlib.Path = PROCESSORS) -> list[int]:
    """Numbers of the processors to use, in order. Args: allowed: default: those that the scheduler allows."""
    allowed = os.sched_getaffinity(0) if allowed is None else allowed
    taken: dict[tuple[int, int], int] = {}
    threads = []
    for number in sorted(allowed):
        folder = processors / f"cpu{number}"
        package, core = (_number(folder / "topology" / name) for name in ("physical_package_id", "core_id"))
        core = number if core is None else core  # where nothing is told each has a core of its own
        place = (package or 0, core)
        taken[place] = taken.get(place, -1) + 1
        threads.append(_Thread(taken[place], _node(folder), package or 0, core, number))
    return [thread.number for thread in sorted(threads)]


def _node(folder: pathlib.Path) -> int:
    names = [path.name.removeprefix("node") for path in folder.glob("node[0-9]*")]
    return int(names[0]) if names else 0


def _number(path: pathlib.Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def granted(groups: pathlib.Path = memory.GROUPS, membership: pathlib.Path = memory.MEMBERSHIP) -> float | None:
    """How many cores' worth of time control groups grant this process and its children; None if they set no limit."""
    found = []
    for folder, _ in memory.folders(groups, membership, "cpu"):
        try:
            quota, period = (folder / "cpu.max").read_text().split()  # version 2
        except (OSError, ValueError):
            quota, period = (_number(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota not in ("max", None, -1) and period:
            found.append(int(quota) / int(period))
    return min(found, default=None)
