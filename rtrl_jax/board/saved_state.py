"""The state of the environment on the board: asked for by who makes checkpoints, left there by the environment after a boundary.

The asker alone raises `save_wanted`; the environment (before the start: the
supervisor) writes the rest, `saved_tick` last, which is -1 while the bytes
change. A reader looks at it before and after copying.
"""

import numpy as np


class SavedState:
    """Both ends of it."""

    def __init__(self, board):
        self._board = board

    def ask(self) -> None:
        """A wish for the state after some boundary to come."""
        self._board.save_wanted[0] += 1

    @property
    def is_wanted(self) -> bool:
        """Whether a wish is open."""
        return bool(self._board.save_wanted[0] != self._board.saved[0])

    def put(self, tick: int, state: bytes) -> None:
        """Leaves the state after `tick` (at most ENVIRONMENT_BYTES), which fulfils the wishes there were when it began."""
        board, wish = self._board, int(self._board.save_wanted[0])
        board.saved_tick[0] = -1
        board.saved_environment[: len(state)] = np.frombuffer(state, np.uint8)
        board.saved_bytes[0] = len(state)
        board.saved_tick[0] = tick
        board.saved[0] = wish

    def read(self) -> tuple[int, bytes] | None:
        """(tick, state) of what was left last; None if there is nothing, or it is just changing."""
        board = self._board
        tick, length = int(board.saved_tick[0]), int(board.saved_bytes[0])
        state = board.saved_environment[:length].tobytes()
        return (tick, state) if tick >= 0 and tick == board.saved_tick[0] else None
