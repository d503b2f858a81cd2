"""Algorithms 1 and 2 over several machines: whoever is on another one has its inference times announced beside the environment.

An announcement reads the table before it writes, so two must not be made at once; on one machine a lock sees to that. Of a crew
the worker tells its time, and the bridge beside the environment announces it under that same lock, in its row, and answers how
long to hold the action. The worker's own copy of the table is up to date when the answer is there, since both come in one
message, and the table first. It waits a network's round trip in every inference for that, and no longer than LONGEST_WAIT_S.
"""

import time
from collections.abc import Callable

from rtrl_jax.board.bell import Bell
from rtrl_jax.board.layout import Board

LONGEST_WAIT_S = 0.25  # of a network that stalls; the answer is then not held


class Distant:
    """The interface of a stagger algorithm, for a worker of a crew."""

    def __init__(self, algorithm, board: Board, bell: Bell, told: Callable[[], None]):
        """Args:
        algorithm: over the copy of the table that is on this board.
        bell: of the worker's process, which the bridge rings for an answer.
        told: wakes the bridge.
        """
        self._algorithm, self._board, self._bell, self._told = algorithm, board, bell, told

    def owed(self, x: int) -> float:
        """As of the algorithm."""
        return self._algorithm.owed(x)

    def observe(self, y: int, tau: float) -> float:
        """As of the algorithm: how long worker y waits before it registers its action."""
        told, answer = self._board.tau_told[y], self._board.tau_answer[y]
        told[1] = tau
        told[0] += 1  # after the time that it counts
        self._told()
        until = time.monotonic() + LONGEST_WAIT_S
        while (left := until - time.monotonic()) > 0:
            seen = self._bell.count()
            if answer[0] == told[0]:
                return float(answer[1])
            self._bell.wait(seen, left)
        return 0.0
