"""A checkpoint on disk: arrays as .npz, everything else in manifest.json, which names every file with its checksum.

It is written beside its place and renamed into it, so a name without `partial` is a whole checkpoint. A checksum tells what
happened to it later.
"""

import contextlib
import json
import os
import pathlib
import shutil
import zipfile
import zlib

import numpy as np

from rtrl_jax.errors import UserError
from rtrl_jax.telemetry.files import finite, write_arrays, write_json

FORMAT = 4
STATE = "state.npz"  # the leaves of parameters, target and optimiser, and in virtual time of prepared filters
PART = 1 << 24  # bytes read at a time
PARTIAL = ".partial"
UNDER_WAY = "under_way"  # the file of what was under way in virtual time; so begin the names of its arrays too


class DamagedError(UserError):
    """A checkpoint is not what it was when it was made."""

    def __init__(self, checkpoint: pathlib.Path, what: str):
        super().__init__(
            f"checkpoint {checkpoint} is damaged ({what}): delete that folder to go on from the one before it"
        )
        self.checkpoint = checkpoint


class FormatError(UserError):
    """A checkpoint is of another version of rtrl_jax."""


class BusyError(UserError):
    """Somebody works in the folder just now."""


def folder_of(run: pathlib.Path) -> pathlib.Path:
    return run / "checkpoints"


def whole(run: pathlib.Path) -> list[pathlib.Path]:
    """The checkpoints of a run, oldest first."""
    folder = folder_of(run)
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [folder / name for name in sorted(names) if name.isdecimal()]


def write(
    run: pathlib.Path, manifest: dict, leaves: dict[str, list], arrays: dict[str, np.ndarray], binary: dict[str, bytes]
) -> None:
    """Makes the checkpoint of `manifest["tick"]`, unless there is one: a run resumed from it that ended before its next tick.

    Args:
      leaves: arrays of the parameters, of the target and so on, in their order.
      arrays, binary: what else belongs to it; the files are called `<name>.npz` and `<name>`.

    Raises:
      OSError: it could not be written, for want of space perhaps.
    """
    place = folder_of(run) / f"{manifest['tick']:012d}"
    if place.exists():
        return
    partial = place.with_name(place.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_arrays(
        partial / STATE,
        {f"{part}/{number:04d}": leaf for part, its in leaves.items() for number, leaf in enumerate(its)},
    )
    write_arrays(partial / "arrays.npz", arrays)
    for name, data in binary.items():
        (partial / name).write_bytes(data)
    files = {str(path.relative_to(partial)): checksum(path) for path in sorted(partial.rglob("*")) if path.is_file()}
    manifest = {"format": FORMAT, **finite(manifest), "files": files}
    write_json(partial / "manifest.json", {**manifest, "crc": _crc(manifest)})
    for path in (*partial.rglob("*"), partial):
        _to_disk(path)
    os.replace(partial, place)
    _to_disk(place.parent)


def _crc(manifest: dict) -> int:
    return zlib.crc32(json.dumps(manifest, sort_keys=True).encode())


def _to_disk(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksum(path: pathlib.Path) -> list[int]:
    """[bytes, CRC-32] of a file."""
    total, length = 0, 0
    with open(path, "rb") as file:
        while part := file.read(PART):
            total, length = zlib.crc32(part, total), length + len(part)
    return [length, total]


def prune(run: pathlib.Path, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints, and whatever a killed process left."""
    for path in whole(run)[:-keep]:
        remove(path)
    clear(run)


def remove(checkpoint: pathlib.Path) -> None:
    """Renamed first: what is half deleted must not look whole."""
    partial = checkpoint.with_name(checkpoint.name + PARTIAL)
    checkpoint.rename(partial)
    shutil.rmtree(partial, ignore_errors=True)


def clear(run: pathlib.Path) -> None:
    """Removes what is half written or half deleted."""
    for path in folder_of(run).glob(f"*{PARTIAL}"):
        shutil.rmtree(path, ignore_errors=True)


def find(path: pathlib.Path) -> pathlib.Path:
    """The checkpoint that `path` names: itself, or the newest of a run's folder. Raises UserError."""
    if (path / "manifest.json").is_file():
        return path
    if not path.is_dir():
        raise UserError(f"{path} is no folder: name the folder of a run, or one of its checkpoints")
    found = whole(path)
    if not found:
        raise UserError(f"{path} holds no checkpoint: name the folder of a run that has made one")
    return found[-1]


def read_manifest(checkpoint: pathlib.Path) -> dict:
    """The manifest, once every file that it names has been found to be whole. Raises UserError."""
    path = checkpoint / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        sealed = {name: value for name, value in manifest.items() if name != "crc"}
        files, version = dict(manifest["files"]), manifest["format"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(checkpoint, f"manifest.json: {' '.join(str(error).split())}") from None
    if manifest.get("crc") != _crc(sealed):
        raise DamagedError(checkpoint, "manifest.json has changed since")
    if version != FORMAT:
        raise FormatError(
            f"checkpoint {checkpoint} has format {version}, of another version of rtrl_jax, and this one reads {FORMAT}: "
            "start a new run"
        )
    for name, expected in files.items():
        check(checkpoint, checkpoint / name, expected)
    return manifest


def check(checkpoint: pathlib.Path, path: pathlib.Path, expected: list[int]) -> None:
    """Raises UserError unless the file is what it was when the checkpoint was made."""
    name = os.path.relpath(path, checkpoint)
    if not path.is_file():
        raise DamagedError(checkpoint, f"{name} is missing")
    if path.stat().st_size != expected[0]:
        raise DamagedError(checkpoint, f"{name} has {path.stat().st_size} bytes, not {expected[0]}")
    if checksum(path) != list(expected):
        raise DamagedError(checkpoint, f"{name} has changed since")


def read_leaves(checkpoint: pathlib.Path) -> dict[str, list[np.ndarray]]:
    """The leaves that were written. What numpy has no name for (bfloat16) comes back as bytes of that length.

    Raises:
      UserError: the checkpoint is damaged.
    """
    leaves = {}
    try:
        with np.load(checkpoint / STATE, allow_pickle=False) as stored:
            for name in stored.files:
                leaves.setdefault(name.split("/")[0], []).append(stored[name])
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DamagedError(checkpoint, f"{STATE}: {' '.join(str(error).split())[:200]}") from None
    return leaves


def read_under_way(checkpoint: pathlib.Path) -> tuple[bytes, dict[str, np.ndarray]]:
    """What was under way in virtual time: its file, and the arrays that belong to it."""
    arrays = read_arrays(checkpoint).items()
    its = {name.removeprefix(UNDER_WAY): array for name, array in arrays if name.startswith(UNDER_WAY)}
    return (checkpoint / UNDER_WAY).read_bytes(), its


def read_arrays(checkpoint: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(checkpoint / "arrays.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@contextlib.contextmanager
def locked(run: pathlib.Path, flag: str = "--run_dir", what: str = "a run"):
    """Keeps a second run out of the folder. The kernel frees the lock with its holder. Raises BusyError.

    Args: flag, what: what the user said it by, and what works in it.
    """
    import fcntl

    descriptor = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(f"{flag}={run} belongs to {what} that is still going on: end it first") from None
    try:
        yield
    finally:
        os.close(descriptor)
