"""What the agent has seen, on disk: files of consecutive acts with the frames they refer to, written once and shared by
checkpoints; and in each checkpoint the last observations, on which the next are stacked.

A checkpoint adds only the acts that are new since the last; a small last file is written anew, joined with the news. The manifest
lists the files it needs, so a kill at any moment leaves at worst a file that nobody lists.
"""

import pathlib
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from rtrl_jax.board.records import frames_named
from rtrl_jax.board.ring import Stacking
from rtrl_jax.checkpoints import store
from rtrl_jax.errors import UserError
from rtrl_jax.telemetry.files import write_atomically

LARGE_ENOUGH = 8192  # acts, or frames if several are stacked
TAIL = 64  # observations that are saved always, with as many as are stacked and as decisions are held
MARGIN = 1024  # acts that the environment may overwrite while a file is being written


class Reached(NamedTuple):
    """How far the environment had come when it left its state."""

    tick: int
    acts: int  # number of the next act
    frames: int  # number of the next kept frame
    oldest: int  # no act to come refers to a kept frame before this one

    @classmethod
    def of(cls, tick: int, keeper: dict) -> "Reached":
        """Args: keeper: what `Keeper.save` returned."""
        return cls(tick, keeper["head"], keeper["kept"], max(keeper["oldest"], 0))


class Files:
    """Keeps `RUN/checkpoints/replay` in step with the ring of acts."""

    def __init__(self, run: pathlib.Path, acts, listed: list = ()):
        """Args: listed: what the checkpoint a run goes on from lists."""
        self._folder, self._acts = store.folder_of(run) / "replay", acts
        self._large_enough = max(1, LARGE_ENOUGH // acts.depth)
        self._listed = [list(item) for item in listed]

    def update(self, end: int, everything: bool, over: bool) -> list:
        """Brings the files up to act `end`, not included. Returns the list for the manifest: [name, first act, end, [bytes,
        checksum]].

        Args:
          everything: False for none at all.
          over: whether the environment is done, so that nothing is overwritten any more.
        """
        if not everything:
            self._listed = []
            return self._listed
        self._folder.mkdir(parents=True, exist_ok=True)
        oldest = self._acts.oldest_safe(end, 0 if over else min(MARGIN, self._acts.capacity // 8))
        listed = [item for item in self._listed if item[2] > oldest and item[2] <= end]
        if (
            listed
            and listed[-1][2] < end
            and listed[-1][2] - listed[-1][1] < self._large_enough
            and listed[-1][1] >= oldest
        ):
            listed.pop()  # grows; with nothing new it stays, as an earlier checkpoint lists it with its checksum
        first = max(oldest, listed[-1][2] if listed else 0)
        while first < end:
            listed.append(self._write(first, min(first + self._large_enough, end)))
            first = listed[-1][2]
        self._listed = listed
        return listed

    def _write(self, first: int, end: int) -> list:
        numbers = np.arange(first, end)
        acts = self._acts.rows(numbers)
        begin, stop = _span(acts)
        frames = self._acts.frames(np.arange(begin, stop))
        if not self._acts.survive(numbers, acts).all():
            raise RuntimeError("the replay was overwritten while it was being saved: raise --replay_capacity")
        path = self._folder / f"{first:012d}-{end:012d}.npz"
        write_atomically(path, lambda file: _write_arrays(file, {"acts": acts, "frames": frames}))
        return [path.name, first, end, store.checksum(path)]

    def clear(self) -> None:
        """Removes what was being written when something failed."""
        for path in self._folder.glob("*.partial"):
            path.unlink()

    def prune(self, manifests: list[dict]) -> None:
        """Removes files that no kept checkpoint lists."""
        needed = {item[0] for manifest in manifests for item in manifest["replay"]}
        for path in self._folder.glob("*"):
            if path.name not in needed:
                path.unlink()


def _span(acts: np.ndarray) -> tuple[int, int]:
    """The kept frames that these rows refer to lie between these numbers."""
    named = frames_named(acts)
    return int(min(numbers[0].min() for numbers in named)), int(max(numbers.max() for numbers in named)) + 1


def _write_arrays(file, arrays: dict[str, np.ndarray]) -> None:
    """An .npz as numpy's own, compressed less and five times as fast: Ctrl-C should not be waited for."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def latest(
    board, reached: Reached, stacking: Stacking, oldest: int | None = None, looked_back: int = 0
) -> dict[str, np.ndarray]:
    """The last observations, and the kept frames that acts to come may refer to, as arrays of a checkpoint.

    Args:
      oldest: an observation that must be among them, with those that are stacked on it.
      looked_back: ticks before an observation, of which the actions are asked for; and so long as an action is held.

    Raises RuntimeError if they were overwritten meanwhile.
    """
    observations = board.observations
    playout = int(observations.ticks.rows["playout"][reached.tick % observations.capacity])
    back = max(stacking.reach, looked_back)
    length = TAIL + 1 + back + playout
    first = reached.tick + 1 - length
    if oldest is not None:
        first = min(first, oldest - back)
    first = max(0, first, observations.newest + 2 - observations.capacity)
    places = np.arange(first, reached.tick + 1) % observations.capacity
    numbers = np.arange(reached.oldest, reached.frames)
    arrays = {
        "latest_ticks": observations.ticks.rows[places],
        "latest_frames": observations.frames[places],
        "latest_kept": board.acts.frames(numbers),
    }
    if not observations.readable(first) or (len(numbers) and not board.kept.holds(reached.oldest)):
        raise RuntimeError("the last observations were overwritten while they were being saved")
    return arrays


def read(checkpoint: pathlib.Path, manifest: dict, arrays: dict[str, np.ndarray], board) -> Reached:
    """Puts acts, frames and the last observations back on an empty board, as many as fit. Raises UserError if a file is damaged.

    Args: arrays: of the checkpoint.
    """
    reached, acts, observations = Reached(*manifest["reached"]), board.acts, board.observations
    first, kept = reached.acts, arrays["latest_kept"]
    for name, begin, end, expected in reversed(manifest["replay"]):
        if end <= reached.acts - acts.capacity:
            break
        path = checkpoint.parent / "replay" / name
        store.check(checkpoint, path, expected)
        try:
            with np.load(path, allow_pickle=False) as stored:
                rows, frames = stored["acts"], stored["frames"]
            _put(board.act_rows, np.arange(begin, end), rows, reached.acts)
            _put(board.kept_frames, np.arange(*_span(rows)), frames, reached.frames)
        except (ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(
                f"checkpoint {checkpoint}: {path} cannot be read ({' '.join(str(error).split())})"
            ) from None
        first = begin
    _put(board.kept_frames, np.arange(reached.frames - len(kept), reached.frames), kept, reached.frames)
    ticks = arrays["latest_ticks"]
    _put(observations.ticks.rows, ticks["tick"], ticks, reached.tick + 1)
    _put(observations.frames, ticks["tick"], arrays["latest_frames"], reached.tick + 1)
    board.act_first[0], board.act_head[0], board.kept_head[0] = first, reached.acts, reached.frames
    board.tick_head[0] = reached.tick + 1
    return reached


def _put(ring: np.ndarray, numbers: np.ndarray, values: np.ndarray, head: int) -> None:
    """Puts values back where their numbers belong in a ring with this head, but for those it has no room for."""
    there = (numbers > head - len(ring)) & (numbers < head)
    ring[numbers[there] % len(ring)] = values[there]
