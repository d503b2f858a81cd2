"""How much memory there is: the machine's, or what a container, a batch system or a service manager grants of it.

The kernel limits groups of processes (cgroups v1 and v2), each within the one around it, and kills who goes beyond. psutil knows
only the machine, so a process in a small container on a large machine would be told of memory that it cannot have.
"""

import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import psutil

GROUPS, MEMBERSHIP = pathlib.Path("/sys/fs/cgroup"), pathlib.Path("/proc/self/cgroup")


class Limit(NamedTuple):
    """What a group of processes may take, and has taken, in bytes; `used` is without what the kernel can give back at once."""

    most: int
    used: int


class _Files(NamedTuple):
    """Where one version of cgroups says what."""

    most: tuple[str, ...]
    used: str
    cached: bytes  # the line of memory.stat that counts files which are kept in memory for nobody in particular


_V1 = _Files(("memory.limit_in_bytes",), "memory.usage_in_bytes", b"total_inactive_file")
_V2 = _Files(("memory.max", "memory.high"), "memory.current", b"inactive_file")  # above `high` it slows down


def total() -> int:
    """Bytes that this process and its children may have in all."""
    return min([psutil.virtual_memory().total, *(limit.most for limit in limits())])


def available() -> int:
    """Bytes that this process and its children may still take."""
    return max(0, min([psutil.virtual_memory().available, *(limit.most - limit.used for limit in limits())]))


def limits(groups: pathlib.Path = GROUPS, membership: pathlib.Path = MEMBERSHIP) -> list[Limit]:
    """The limits of the groups that this process is in, the innermost first; without those that set none.

    Args:
      groups: where cgroups are mounted.
      membership: the file that says which ones they are.
    """
    found = []
    for folder, files in _folders(groups, membership):
        most = [number for number in (_number(folder / name) for name in files.most) if number is not None]
        used = _number(folder / files.used)
        if most and used is not None:
            found.append(Limit(min(most), max(0, used - _cached(folder / "memory.stat", files.cached))))
    return found


def _folders(groups: pathlib.Path, membership: pathlib.Path) -> Iterator[tuple[pathlib.Path, _Files]]:
    for folder, version in folders(groups, membership, "memory"):
        yield folder, {1: _V1, 2: _V2}[version]


def folders(groups: pathlib.Path, membership: pathlib.Path, controller: str) -> Iterator[tuple[pathlib.Path, int]]:
    """The folders of this process's groups and of all around them, each with the version of control groups, 1 or 2.

    In a container a path may be the one outside it: what is mounted is then its own group, and the rest of the path not there.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            root, version = groups, 2
        elif controller in controllers.split(","):
            root, version = groups / controller, 1
        else:
            continue
        parts = pathlib.PurePosixPath(path).parts[1:]
        inner = root.joinpath(*parts) if ".." not in parts else root  # not below what is mounted
        for folder in (inner, *inner.parents):
            yield folder, version
            if folder == root:
                break


def _number(path: pathlib.Path) -> int | None:
    """None for "max", and for a file that is not there."""
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None


def _cached(path: pathlib.Path, name: bytes) -> int:
    try:
        lines = dict(line.split(maxsplit=1) for line in path.read_bytes().splitlines())
        return int(lines.get(name, 0))
    except (OSError, ValueError):
        return 0
