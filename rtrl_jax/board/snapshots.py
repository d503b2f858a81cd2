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

    def publish(self, arrays, version: int, optimiser=(), target=False, prepared=()) -> bool:
        """Copies `arrays` into a free slot and commits it; False if every slot is in use (nothing has changed).

        Args:
          arrays: the parameters.
          version: updates so far.
          optimiser: leaves of the optimiser's state, if there is a learner.
          target: whether these parameters become the target network too; or the arrays that do.
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
        if moves := target is not False:
            _copy(self._targets[other["slot_target"]], arrays if target is True else target)
            board.target_version[other["slot_target"]] = version
        board.slot_optimiser[slot] = other["slot_optimiser"]
        board.slot_target[slot] = other["slot_target"] if moves else 1 - other["slot_target"]
        board.slot_version[slot] = version
        board.latest[0] = slot
        return True

    def optimiser(self, snapshot: int | None = None) -> list[np.ndarray]:
        """Leaves of an optimiser state, in place: for whoever may publish next. Args: snapshot: its slot; None: the newest."""
        return self._optimisers[int(self._board.slot_optimiser[self._slot(snapshot)])]

    def target(self, snapshot: int | None = None) -> tuple[int, list[np.ndarray]]:
        """(version it was copied at, parameters in place) of the target network; nobody may publish meanwhile."""
        slot = int(self._board.slot_target[self._slot(snapshot)])
        return int(self._board.target_version[slot]), self._targets[slot]

    def _slot(self, snapshot: int | None) -> int:
        return int(self._board.latest[0]) if snapshot is None else snapshot

    def _oldest_free_slot(self) -> int | None:
        return _oldest_free_slot(self._board)


def _oldest_free_slot(board) -> int | None:
    fence()
    taken = set((board.pin[board.pin > 0] - 1).tolist()) | {int(board.latest[0])}
    free = [slot for slot in range(len(board.slots)) if slot not in taken]
    return min(free, key=lambda slot: board.slot_version[slot], default=None)


def _copy(targets, sources) -> None:
    for target, source in zip(targets, sources, strict=True):
        np.copyto(target, source)


class Mirror:
    """The writing side on a board that follows another: snapshots come whole, in bytes. One process.

    A training state comes in the slots that `spare` names, and is committed with them.
    """

    def __init__(self, board):
        self._board = board

    def room(self) -> int | None:
        """A slot that `commit` may name once its bytes have been filled; None if readers hold every one."""
        return _oldest_free_slot(self._board)

    def spare(self) -> tuple[int, int]:
        """Of the optimiser's slots, and of the target network's, the one that nothing refers to."""
        before = int(self._board.latest[0])
        return 1 - int(self._board.slot_optimiser[before]), 1 - int(self._board.slot_target[before])

    def commit(self, slot: int, version: int, training: tuple[int, int] | None = None) -> None:
        """Makes it the newest. Args: training: what else has been filled; None: optimiser and target stay as they are."""
        board, before = self._board, int(self._board.latest[0])
        used = training or (int(board.slot_optimiser[before]), int(board.slot_target[before]))
        board.slot_optimiser[slot], board.slot_target[slot] = used
        board.slot_version[slot] = version
        board.latest[0] = slot


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
