"""Parameter snapshots that any number of processes read in place.

K slots; the publisher fills the oldest slot that nobody has pinned and then flips `latest`, which commits it: a crash
before the flip leaves the previous version whole. A reader pins a slot for the length of one inference.

Why a pinned slot cannot be refilled: the reader writes its pin, then (after a fence) looks at `latest` again and retries
unless it still names that slot; the publisher looks at the pins (after a fence) only once `latest` names another slot.
Whichever came first, either the publisher sees the pin or the reader sees the flip.
"""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from rtrl_jax.board.layout import ALIGNMENT
from rtrl_jax.board.segment import fence


class Leaf(NamedTuple):
    """One array inside a slot. All are float32."""

    shape: tuple[int, ...]
    offset: int  # bytes

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


def arrange(shapes: list[tuple[int, ...]]) -> tuple[list[Leaf], int]:
    """Lays float32 arrays out one after another, aligned. Returns (leaves, bytes)."""
    leaves, offset = [], 0
    for shape in shapes:
        leaves.append(Leaf(tuple(shape), offset))
        offset += -(-leaves[-1].size * 4 // ALIGNMENT) * ALIGNMENT
    return leaves, offset


def views(leaves: list[Leaf], slot: np.ndarray) -> list[np.ndarray]:
    """The arrays of one slot, float32, in place."""
    return [slot[leaf.offset : leaf.offset + 4 * leaf.size].view(np.float32).reshape(leaf.shape) for leaf in leaves]


class Publisher:
    """The writing side. One process at a time."""

    def __init__(self, board, leaves: list[Leaf]):
        self._board = board
        self._slots = [views(leaves, slot) for slot in board.slots]

    def publish(self, arrays, version: int) -> bool:
        """Copies `arrays` into a free slot and commits it; False if every slot is in use (nothing has changed)."""
        slot = self._oldest_free_slot()
        if slot is None:
            return False
        for target, source in zip(self._slots[slot], arrays, strict=True):
            np.copyto(target, source)
        self._board.slot_version[slot] = version
        self._board.latest[0] = slot
        return True

    def _oldest_free_slot(self) -> int | None:
        fence()
        taken = set((self._board.pin[self._board.pin > 0] - 1).tolist()) | {int(self._board.latest[0])}
        free = [slot for slot in range(len(self._slots)) if slot not in taken]
        return min(free, key=lambda slot: self._board.slot_version[slot], default=None)


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
