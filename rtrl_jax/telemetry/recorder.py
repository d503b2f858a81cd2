"""Copies the board's record into the run folder while the run goes on, and makes ticks.npz, its neighbours and the trace at the
end.

Until then the records lie in *.raw files beside them, appended to several times a second: whatever kills the run loses less than
a second of it.
"""

import os
import pathlib
import time

import numpy as np

from rtrl_jax.board.records import completed
from rtrl_jax.telemetry import trace
from rtrl_jax.telemetry.files import write_arrays, write_atomically
from rtrl_jax.telemetry.summary import DIAGNOSTICS
from rtrl_jax.telemetry.tail import KINDS, Tail


class Recorder:
    """Writes what a `Tail` reads. `lost` counts records that were overwritten before they were read."""

    def __init__(self, board, folder: pathlib.Path, earlier: dict[str, np.ndarray] | None = None):
        """Args: earlier: records of the sessions before, by kind, which those of this one are added to."""
        self._folder = folder
        self._tail = Tail(board, first_tick=int(board.tick_head[0]), from_now_on=earlier is not None)
        self._files = {}
        for kind, dtype in KINDS.items():
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

    def close(self, trace_seconds: float = trace.SECONDS) -> dict[str, np.ndarray]:
        """Takes in the rest, writes the .npz files and the trace, and returns all records by kind."""
        self.drain()
        for file in self._files.values():
            file.close()
        return finish(self._folder, trace_seconds)


def finish(folder: pathlib.Path | str, trace_seconds: float = trace.SECONDS) -> dict[str, np.ndarray]:
    """Turns a folder's .raw files into .npz files and a trace. Args: trace_seconds: see `trace.write`."""
    folder = pathlib.Path(folder)
    records = read_back(folder)
    records["updates"].sort(order="end_ns")
    for kind, rows in records.items():
        write_arrays(folder / f"{kind}.npz", columns(rows))
        (folder / f"{kind}.raw").unlink(missing_ok=True)
    trace.write(folder, records, trace_seconds)
    return records


def read_back(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """A run's records by kind, whether it was ended or killed."""
    records = {}
    for kind, dtype in KINDS.items():
        raw = folder / f"{kind}.raw"
        if raw.exists():
            whole = raw.stat().st_size // dtype.itemsize
            records[kind] = np.fromfile(raw, dtype, count=whole)
        else:
            with np.load(folder / f"{kind}.npz", allow_pickle=False) as stored:
                columns = dict(stored)
                records[kind] = _rows(completed(columns) if kind == "decisions" else columns, dtype)
    return records


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
