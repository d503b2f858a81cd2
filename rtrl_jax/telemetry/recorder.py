"""Copies the board's record into the run folder while the run goes on, and makes ticks.npz, its neighbours and the trace at the
end.

Until then the records lie in *.raw files beside them, appended to several times a second: whatever kills the run loses less than
a second of it.
"""

import json
import os
import pathlib
import time
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from rtrl_jax.actions import NUMBER
from rtrl_jax.board.records import completed
from rtrl_jax.telemetry import trace
from rtrl_jax.telemetry.files import write_arrays, write_atomically, write_json
from rtrl_jax.telemetry.summary import DIAGNOSTICS
from rtrl_jax.telemetry.tail import Tail, kinds

ACTION = "action.json"  # beside .raw files: the layout of an action, where actions are vectors


class Recorder:
    """Writes what a `Tail` reads. `lost` counts records that were overwritten before they were read."""

    def __init__(self, board, folder: pathlib.Path, earlier: dict[str, np.ndarray] | None = None):
        """Args: earlier: records of the sessions before, by kind, which those of this one are added to."""
        self._folder = folder
        self._tail = Tail(board, first_tick=int(board.tick_head[0]), from_now_on=earlier is not None)
        self._files = {}
        action = board.dimensions.action
        if action.shape:  # what the .raw files cannot say
            write_json(folder / ACTION, {"dtype": action.base.str, "shape": action.shape})
        for kind, dtype in self._tail.kinds.items():
            rows = earlier[kind] if earlier else np.empty(0, dtype)
            write_atomically(folder / f"{kind}.raw", lambda file, rows=rows: file.write(rows.tobytes()))
            self._files[kind] = open(folder / f"{kind}.raw", "ab")  # noqa: SIM115
        self.complete_until_ns = 0  # what had happened by then is in the files

    @property
    def lost(self) -> int:
        return self._tail.lost

    def drain(self) -> dict[str, np.ndarray]:
        """Appends what is new to the files and returns it: TICK, OUTCOME and UPDATE records by kind."""
        began = time.monotonic_ns()
        news = self._tail.drain()
        for kind, records in news.items():
            self._files[kind].write(records.tobytes())
            self._files[kind].flush()
        self.complete_until_ns = began
        return news

    def sync(self) -> None:
        """What has been drained is on the disk, whatever happens to the machine. Another thread than `drain`'s may call it."""
        for file in self._files.values():
            os.fsync(file.fileno())

    def close(
        self, trace_seconds: float = trace.SECONDS, elsewhere: Mapping[str, str] = MappingProxyType({})
    ) -> dict[str, np.ndarray]:
        """Takes in the rest, writes the .npz files and the trace, and returns all records by kind."""
        self.drain()
        for file in self._files.values():
            file.close()
        return finish(self._folder, trace_seconds, elsewhere)


def finish(
    folder: pathlib.Path | str,
    trace_seconds: float = trace.SECONDS,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, np.ndarray]:
    """Turns a folder's .raw files into .npz files and a trace. Args: trace_seconds, elsewhere: see `trace.write`."""
    folder = pathlib.Path(folder)
    records = read_back(folder)
    records["updates"].sort(order="end_ns")
    for kind, rows in records.items():
        write_arrays(folder / f"{kind}.npz", columns(rows))
        (folder / f"{kind}.raw").unlink(missing_ok=True)
    (folder / ACTION).unlink(missing_ok=True)
    trace.write(folder, records, trace_seconds, elsewhere)
    return records


def read_back(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """A run's records by kind, whether it was ended or killed."""
    records, known = {}, kinds(action_layout(folder))
    for kind, dtype in known.items():
        raw = folder / f"{kind}.raw"
        if raw.exists():
            whole = raw.stat().st_size // dtype.itemsize
            records[kind] = np.fromfile(raw, dtype, count=whole)
        else:
            with np.load(folder / f"{kind}.npz", allow_pickle=False) as stored:
                columns = dict(stored)
                records[kind] = _rows(completed(columns) if kind == "decisions" else columns, dtype)
    return records


def action_layout(folder: pathlib.Path) -> np.dtype:
    """The layout of an action in a folder's records."""
    if (folder / ACTION).exists():
        said = json.loads((folder / ACTION).read_text())
        return np.dtype((said["dtype"], tuple(said["shape"])))
    if not (folder / "ticks.npz").exists():
        return NUMBER
    with np.load(folder / "ticks.npz", allow_pickle=False) as stored:
        column = stored["action"]
    return np.dtype((column.dtype, column.shape[1:]))


def _rows(stored, dtype: np.dtype) -> np.ndarray:
    """The inverse of `columns`, of runs of before too: what they did not measure is NaN."""
    names = [name for name in dtype.names if not dtype[name].names]
    rows = np.zeros(len(stored[names[0]]), dtype)
    for name in dtype.names:
        if dtype[name].names:
            rows[name] = _rows(stored, dtype[name])
        else:
            rows[name] = np.nan if name in DIAGNOSTICS and name not in stored else stored[name]
    return rows


def columns(rows: np.ndarray) -> dict[str, np.ndarray]:
    """The fields of a record array as arrays, those of a nested record included."""
    flat = {}
    for name in rows.dtype.names:
        flat.update(columns(rows[name]) if rows[name].dtype.names else {name: np.ascontiguousarray(rows[name])})
    return flat
