"""What the agent has seen, on disk: files of consecutive ticks with their frames, written once and shared by checkpoints.

A checkpoint adds only what is new since the last; a small last file is written anew, joined with the news. The manifest lists the
files it needs, so a kill at any moment leaves at worst a file that nobody lists.
"""

import pathlib
import zipfile
import zlib

import numpy as np

from rtrl_jax.board.ring import Observations
from rtrl_jax.checkpoints import store
from rtrl_jax.errors import UserError
from rtrl_jax.telemetry.files import write_atomically

LARGE_ENOUGH = 8192  # ticks
TAIL = 64  # ticks that are always saved, and as many as are stacked: the next observations are stacked on them
MARGIN = 1024  # ticks that the environment may overwrite while a file is being written


class Files:
    """Keeps `RUN/checkpoints/replay` in step with the ring of observations."""

    def __init__(self, run: pathlib.Path, observations: Observations, frame_stack: int, listed: list = ()):
        """Args: listed: what the checkpoint a run goes on from lists."""
        self._folder, self._observations = store.folder_of(run) / "replay", observations
        self._tail = TAIL + frame_stack
        self._listed = [list(item) for item in listed]

    def update(self, last: int, everything: bool, over: bool) -> list:
        """Brings the files up to tick `last`. Returns the list for the manifest: [name, first tick, end, [bytes, checksum]].

        Args:
          everything: False for no more than the last few frames.
          over: whether the environment is done, so that nothing is overwritten any more.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._observations.capacity if everything else self._tail
        oldest = max(0, last + 1 - kept, self._oldest_readable(over))
        listed = [item for item in self._listed if item[2] > oldest and item[2] <= last + 1]
        if listed and listed[-1][2] - listed[-1][1] < LARGE_ENOUGH and listed[-1][1] >= oldest:
            listed.pop()  # grows
        if not everything:
            listed = []
        first = max(oldest, listed[-1][2] if listed else 0)
        while first <= last:
            end = min(first + LARGE_ENOUGH, last + 1)
            listed.append(self._write(first, end))
            first = listed[-1][2]
        self._listed = listed
        return listed

    def _oldest_readable(self, over: bool) -> int:
        capacity = self._observations.capacity
        return self._observations.newest + 2 - capacity + (0 if over else min(MARGIN, capacity // 8))

    def _write(self, first: int, end: int) -> list:
        numbers = np.arange(first, end)
        ticks = self._observations.ticks.rows[numbers % self._observations.capacity]
        frames = self._observations.frames[numbers % self._observations.capacity]
        if not self._observations.readable(first):
            raise RuntimeError("the replay was overwritten while it was being saved: raise --replay_capacity")
        path = self._folder / f"{first:012d}-{end:012d}.npz"
        write_atomically(path, lambda file: _write_arrays(file, {"ticks": ticks, "frames": frames}))
        return [path.name, first, end, store.checksum(path)]

    def clear(self) -> None:
        """Removes what was being written when something failed."""
        for path in self._folder.glob("*.partial"):
            path.unlink()

    def prune(self, manifests: list[dict]) -> None:
        """Removes files that no kept checkpoint lists."""
        needed = {item[0] for manifest in manifests for item in manifest["replay"]}
        for path in self._folder.iterdir():
            if path.name not in needed:
                path.unlink()


def _write_arrays(file, arrays: dict[str, np.ndarray]) -> None:
    """An .npz as numpy's own, compressed less and five times as fast: Ctrl-C should not be waited for."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def read(checkpoint: pathlib.Path, manifest: dict, observations: Observations) -> None:
    """Puts ticks and frames back into an empty ring, as many as fit. Raises UserError if a file is damaged."""
    last, rows = manifest["tick"], observations.ticks.rows
    # What no file covers must not look like decisions: it was never seen, and nothing spans it.
    rows["tick"], rows["is_default"], rows["truncated"] = -1, True, True
    oldest = last + 1 - (observations.capacity - TAIL)
    for name, _, end, expected in manifest["replay"]:
        if end <= oldest:
            continue
        path = checkpoint.parent / "replay" / name
        store.check(checkpoint, path, expected)
        try:
            with np.load(path, allow_pickle=False) as stored:
                ticks, frames = stored["ticks"], stored["frames"]
            keep = (ticks["tick"] >= oldest) & (ticks["tick"] <= last)
            places = ticks["tick"][keep] % observations.capacity
            observations.frames[places] = frames[keep]
            rows[places] = ticks[keep]
        except (ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(
                f"checkpoint {checkpoint}: {path} cannot be read ({' '.join(str(error).split())})"
            ) from None
    numbers = np.arange(max(0, oldest), last + 1)
    numbers = numbers[rows["tick"][numbers % observations.capacity] == numbers]
    # The first ones were decided from frames that are gone.
    early = numbers[(rows["obs_tick"][numbers % observations.capacity] < numbers[0] + TAIL) & (numbers[0] > 0)]
    rows["is_default"][early % observations.capacity] = True
    # An episode that was cut off by an earlier resumption is known by the next one's number.
    here, there = rows[numbers[:-1] % observations.capacity], rows[numbers[1:] % observations.capacity]
    cut = (here["episode"] != there["episode"]) & ~here["terminated"]
    rows["truncated"][numbers[:-1][cut] % observations.capacity] = True
