"""Files that are either there and whole, or not there."""

import json
import math
import os
import pathlib

import numpy as np


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
