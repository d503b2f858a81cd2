"""Parameter snapshots that any number of processes read in place, and the training state that is committed with them.

K slots; the publisher fills the oldest slot that nobody has pinned and then flips `latest`, which commits it: a crash
before the flip leaves the previous version whole. A reader pins a slot for the length of one inference. The optimiser's
state and the target network lie in slots of their own, which a snapshot names; so one flip commits a whole update.

Why a pinned slot cannot be refilled: the reader writes its pin, then (after a fence) looks at `latest` again and retries
unless it still names that slot; the publisher looks at the pins (after a fence) only once `latest` names another slot.
Whichever came first, either the publisher sees the pin or the reader sees the flip.
"""

from contextlib import contextmanager
from typing import NamedTuple

import ml_dtypes  # noqa: F401 - so that numpy knows bfloat16 by name
import numpy as np

from rtrl_jax.board.layout import ALIGNMENT
from rtrl_jax.board.segment import fence


class Leaf(NamedTuple):
    """One array inside a slot."""

    shape: tuple[int, ...]
    offset: int  # bytes
    dtype: str = "float32"

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize


def arrange(arrays) -> tuple[list[Leaf], int]:
    """Lays arrays (anything with a shape and a dtype) out one after another, aligned. Returns (leaves, bytes)."""
    leaves, offset = [], 0
    for array in arrays:
        leaves.append(Leaf(tuple(array.shape), offset, np.dtype(array.dtype).name))
        offset += -(-leaves[-1].bytes // ALIGNMENT) * ALIGNMENT
    return leaves, offset


def views(leaves, slot: np.ndarray) -> list[np.ndarray]:
    """The arrays of one slot, in place."""
    return [slot[leaf.offset : leaf.offset + leaf.bytes].view(leaf.dtype).reshape(leaf.shape) for leaf in leaves]


class Publisher:
    """The writing side. One process at a time: the learner with the turn, or the supervisor before the start."""

    def __init__(self, board, leaves, optimiser_leaves=(), prepared_leaves=()):
        """Args: prepared_leaves: of what a slot holds for inference besides the parameters."""
        self._board = board
        self._prepared = [views(prepared_leaves, slot) for slot in board.slots]
        self._slots = [views(leaves, slot) for slot in board.slots]
        self._targets = [views(leaves, slot) for slot in board.targets] if board.targets.size else []
        self._optimisers = [views(optimiser_leaves, slot) for slot in board.optimisers]

    def has_room(self) -> bool:
        """Whether `publish` would find a slot."""
        return self._oldest_free_slot() is not None

    def publish(self, arrays, version: int, optimiser=(), target: bool = False, prepared=()) -> bool:
        """Copies `arrays` into a free slot and commits it; False if every slot is in use (nothing has changed).

        Args:
          arrays: the parameters.
          version: updates so far.
          optimiser: leaves of the optimiser's state, if there is a learner.
          target: whether these parameters become the target network too.
          prepared: made of the parameters for inference; committed with them.
        """
        board, slot = self._board, self._oldest_free_slot()
        if slot is None:
            return False
        before = int(board.latest[0])  # -1 at first, and then slot_… [-1] is 0
        other = {name: 1 - int(getattr(board, name)[before]) for name in ("slot_optimiser", "slot_target")}
        _copy(self._slots[slot], arrays)
        _copy(self._prepared[slot], prepared)
        _copy(self._optimisers[other["slot_optimiser"]], optimiser)
        if target:
            _copy(self._targets[other["slot_target"]], arrays)
            board.target_version[other["slot_target"]] = version
        board.slot_optimiser[slot] = other["slot_optimiser"]
        board.slot_target[slot] = other["slot_target"] if target else 1 - other["slot_target"]
        board.slot_version[slot] = version
        board.latest[0] = slot
        return True

    def optimiser(self) -> list[np.ndarray]:
        """Leaves of the newest optimiser state, in place: for whoever may publish the next."""
        return self._optimisers[int(self._board.slot_optimiser[self._board.latest[0]])]

    def target(self) -> tuple[int, list[np.ndarray]]:
        """(version it was copied at, parameters in place) of the target network; nobody may publish meanwhile."""
        slot = int(self._board.slot_target[self._board.latest[0]])
        return int(self._board.target_version[slot]), self._targets[slot]

    def _oldest_free_slot(self) -> int | None:
        fence()
        taken = set((self._board.pin[self._board.pin > 0] - 1).tolist()) | {int(self._board.latest[0])}
        free = [slot for slot in range(len(self._slots)) if slot not in taken]
        return min(free, key=lambda slot: self._board.slot_version[slot], default=None)


def _copy(targets, sources) -> None:
    for target, source in zip(targets, sources, strict=True):
        np.copyto(target, source)


class Reader:
    """The reading side, one for each process: a process uses one snapshot at a time."""

    def __init__(self, board, process: int, wrap):
        """Args: wrap: function from a slot's bytes (uint8 view) to whatever `pinned` should hand out for that slot."""
        self._board, self._process = board, process
        self._contents = [wrap(slot) for slot in board.slots]

    @contextmanager
    def pinned(self):
        """Yields (version, contents) of the newest snapshot, which stays as it is until the block ends."""
        latest, pin = self._board.latest, self._board.pin
        while True:
            slot = int(latest[0])
            pin[self._process] = slot + 1
            fence()
            if int(latest[0]) == slot:
                break
        try:
            yield int(self._board.slot_version[slot]), self._contents[slot]
        finally:
            pin[self._process] = 0

    def newest_version(self) -> int:
        """Version of the newest snapshot, without pinning it."""
        with self.pinned() as (version, _):
            return version
