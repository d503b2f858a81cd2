"""Algorithm 2: stagger by the expected inference time (paper Appendix A)."""

import numpy as np

from rtrl_jax.stagger import announcements
from rtrl_jax.stagger.announcements import COUNT, FALLS, RISES, SUM


class ExpectedTime:
    """Nobody waits for a maximum; the spacing follows the running mean over all inferences, which settles."""

    def __init__(self, table: np.ndarray):
        self._table = table

    def owed(self, x: int) -> float:
        """Total wait that worker x owes since the start, to be paid before its next inference."""
        return announcements.owed(self._table, x)

    def observe(self, y: int, tau: float) -> float:
        """Worker y's inference took `tau`. It registers at once: the wait is 0."""
        row = self._table[y]
        count, total = self._table[:, COUNT].sum(), self._table[:, SUM].sum()
        change = (total + tau) / (count + 1) - (total / count if count else 0.0)
        row[COUNT] += 1
        row[SUM] += tau
        row[RISES if change >= 0 else FALLS] += abs(change)
        return 0.0
