"""Algorithm 1: stagger by the maximum inference time (paper section 3.2)."""

import numpy as np

from rtrl_jax.stagger import announcements
from rtrl_jax.stagger.announcements import RISES


class MaxTime:
    """Every answer is held until the longest inference seen so far would have ended, so spacing never varies."""

    def __init__(self, table: np.ndarray):
        self._table = table

    def owed(self, x: int) -> float:
        """Total wait that worker x owes since the start, to be paid before its next inference."""
        return announcements.owed(self._table, x)

    def observe(self, y: int, tau: float) -> float:
        """Worker y's inference took `tau`. Returns how long y waits before it registers its action."""
        longest = announcements.estimate(self._table)
        if tau < longest:
            return longest - tau
        self._table[y, RISES] += tau - longest
        return 0.0
