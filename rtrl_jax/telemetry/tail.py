"""Follows the board's record: what has been written since the last look. Any number of processes may, each with its own."""

import numpy as np

from rtrl_jax.actions import NUMBER
from rtrl_jax.board.records import UPDATE, layouts


def kinds(action: np.dtype) -> dict[str, np.dtype]:
    """The three kinds of record. Args: action: the layout of one, see `rtrl_jax.actions`."""
    records = layouts(action)
    return {"ticks": records.tick, "decisions": records.outcome, "updates": UPDATE}


KINDS = kinds(NUMBER)  # where actions are discrete


class Tail:
    """Reads three kinds of ring on the board. `lost` counts records that were overwritten before they were read."""

    def __init__(self, board, first_tick: int, from_now_on: bool = False):
        """Args:
        first_tick: the first one to read.
        from_now_on: whether what is in the other rings already is left out.
        """
        self.kinds = kinds(board.dimensions.action)
        self._rings = {
            "ticks": [board.observations.ticks],
            "decisions": [board.outcomes],
            "updates": [board.updates(i) for i in range(board.dimensions.learners)],
        }
        self._read = {kind: [ring.head * from_now_on for ring in rings] for kind, rings in self._rings.items()}
        self._read["ticks"] = [first_tick]
        self.lost = 0

    def drain(self) -> dict[str, np.ndarray]:
        """What is new: TICK, OUTCOME and UPDATE records by kind."""
        news = {}
        for kind, rings in self._rings.items():
            parts = [np.empty(0, self.kinds[kind])]
            for i, ring in enumerate(rings):
                first, records = ring.read(self._read[kind][i])
                self.lost += first - self._read[kind][i]
                self._read[kind][i] = first + len(records)
                parts.append(records)
            news[kind] = np.concatenate(parts)
        return news
