"""Files that are either there and whole, or not there; and whether one can be written at all, asked before the work."""

import json
import math
import os
import pathlib
import tempfile

import numpy as np

from rtrl_jax.errors import UserError


def write_atomically(path: pathlib.Path, write) -> None:
    """Calls `write(file)` on a new binary file beside `path`, which then takes its place."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_text(path: pathlib.Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: pathlib.Path, value) -> None:
    write_text(path, as_json(value, indent=2) + "\n")


def as_json(value, **layout) -> str:
    """Strict JSON: what is no number (NaN) or infinite becomes null. Args: layout: as for json.dumps."""
    try:
        return json.dumps(value, allow_nan=False, **layout)
    except ValueError:
        return json.dumps(finite(value), allow_nan=False, **layout)


def finite(value):
    """The same with None for every float that is NaN or infinite, in dicts, lists and tuples at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return value


def write_arrays(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """An .npz of plain arrays; reading it needs no pickle. Not compressed: a day's run must be saved within seconds."""
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def check_file(
    path: str | pathlib.Path, flag: str = "--out", *, overwrite: bool = False, instead: str = ""
) -> pathlib.Path:
    """A file that is to be written after some work: makes sure of it now, and leaves nothing behind.

    Args:
      path: its folder need not exist yet.
      flag: what the user said it by.
      overwrite: whether a file that is there may be replaced.
      instead: what else the user could do about one, such as ", or add --overwrite".

    Returns:
      The path, with ~ expanded.

    Raises:
      UserError: it is there already, or could not be written.
    """
    path = pathlib.Path(path).expanduser()
    if os.path.isdir(path) or (os.path.lexists(path) and not overwrite):
        raise UserError(f"{flag}={path} is there already: name a new file{instead} (nothing was overwritten)")
    _try(path, path, flag)
    return path


def check_folder(path: str | pathlib.Path, flag: str = "--out", *, goes_on: bool = False) -> pathlib.Path:
    """As `check_file`, of a folder for results: one that does not exist yet or is empty, or holds what is gone on with."""
    path = pathlib.Path(path).expanduser()
    if os.path.lexists(path) and not os.path.isdir(path):
        raise UserError(f"{flag}={path} is no folder: name a new one")
    if os.path.isdir(path) and os.listdir(path) and not goes_on:
        raise UserError(f"{flag}={path} already holds something: name a new folder (nothing was overwritten)")
    _try(path, path / "results", flag)
    return path


def _try(path: pathlib.Path, file: pathlib.Path, flag: str) -> None:
    """Makes and removes a file where `file` is to be, or in the nearest folder above it that exists.

    Trying is the only way to know: to root every folder looks writable, one of a read-only file system too.
    """
    file = file.absolute()
    nearest = next(folder for folder in file.parents if os.path.lexists(folder))
    longest = max(file.relative_to(nearest).parts, key=len)
    try:
        with tempfile.NamedTemporaryFile(prefix=f"{longest}.", dir=nearest):
            pass
    except OSError as error:
        raise UserError(f"{flag}={path} cannot be written ({error.strerror}): name another place") from None
