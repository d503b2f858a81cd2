"""Whose turn it is to apply an update: learners 0, 1, …, N_L − 1, and again (Langford et al. 2009, paper section 3.1).

`turn` counts the turns there have been; learner `turn mod N_L` has the present one. Only the holder of the lock writes it, and
only the learner with the turn applies, also under the lock, which the kernel frees when its holder dies. So whatever a
learner is killed in, the next one finds the last commit whole, and the supervisor can pass its turn on.
"""

from collections.abc import Callable

import numpy as np

from rtrl_jax.board.bell import Bell


class Turns:
    def __init__(self, board, lock: Callable, processes: list[int]):
        """Args: lock: () -> context manager. processes: for each learner, the number of its process."""
        self._board, self._lock, self._processes = board, lock, np.array(processes, np.int64)
        self._bells = [Bell(board.bell[process]) for process in processes]
        self._learners = len(processes)

    def holder(self) -> int:
        """The learner that has the turn."""
        return int(self._board.turn[0]) % self._learners

    def until(self, learner: int) -> int:
        """How many turns come before this learner's next."""
        return (learner - self.holder()) % self._learners

    def take(self, learner: int, apply: Callable):
        """Calls `apply` if it is this learner's turn, then passes the turn on.

        Returns its value; None if it was not this learner's turn, or `apply` returned None: then the turn is kept.
        """
        with self._lock():
            if self.holder() != learner:
                return None
            value = apply()
            if value is not None:
                self.pass_on()
        return value

    def pass_on(self) -> None:
        """To the next learner that is ready; it stays where it is if none is. The caller holds the lock."""
        turn, ready = int(self._board.turn[0]), self._board.ready
        for step in range(1, self._learners + 1):
            if ready[self._processes[(turn + step) % self._learners]]:
                self._board.turn[0] = turn + step
                self._bells[(turn + step) % self._learners].ring()
                return

    def holder_process(self) -> int:
        return int(self._processes[self.holder()])
