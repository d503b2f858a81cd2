"""What a power cut does to records: of what was appended lately, each file has lost as much as chance would have it."""

import json
import os
import pathlib

import numpy as np

from rtrl_jax.checkpoints import store
from rtrl_jax.telemetry.tail import KINDS


def cut(run: pathlib.Path, rng: np.random.Generator) -> dict[pathlib.Path, bytes]:
    """Truncates each *.raw file of a run at a byte of its own, and returns what was cut off.

    The byte lies anywhere between the end and what the oldest checkpoint of the run covers: so, often, before what the
    newest one covers, and mostly within a record.
    """
    oldest = json.loads((store.whole(run)[0] / "manifest.json").read_text())
    lost = {}
    for kind, dtype in KINDS.items():
        path = run / f"{kind}.raw"
        size = path.stat().st_size
        rows = np.fromfile(path, dtype, count=size // dtype.itemsize)
        at = int(rng.integers(covered(kind, rows, oldest) * dtype.itemsize, size + 1))
        with open(path, "rb") as file:
            file.seek(at)
            lost[path] = file.read()
        os.truncate(path, at)
    return lost


def put_back(lost: dict[pathlib.Path, bytes]) -> None:
    """Undoes `cut`."""
    for path, data in lost.items():
        with open(path, "ab") as file:
            file.write(data)


def covered(kind: str, rows: np.ndarray, manifest: dict) -> int:
    """How many records from the beginning a checkpoint needs."""
    if kind == "ticks":
        needed = rows["tick"] <= manifest["tick"]
    elif kind == "decisions":
        needed = (rows["decision"]["obs_tick"] <= manifest["tick"]) & (rows["apply_tick"] <= manifest["tick"])
    else:
        needed = rows["applied_version"] < manifest["updates"]
    return int(np.flatnonzero(needed)[-1]) + 1 if needed.any() else 0
