"""Algorithm 1 with an estimate that can fall: a high quantile of recent inference times in place of the maximum.

An outlier then costs what it delays, not the rest of the run. Two things follow that the paper's version does not need.
When the estimate falls the workers are spaced anew. And a worker that overran its slot finds the next one: it lets the
rest of a cycle pass, since nothing else would ever bring it back into step.
"""

import numpy as np

from rtrl_jax.stagger import announcements
from rtrl_jax.stagger.announcements import COUNT, FALLS, LATE, OWN, RISES, WINDOW

FALL_WHEN_BELOW = 0.9  # of the estimate: spacing anew costs a cycle, so not for every flicker of the quantile
SAMPLES = 1024  # in all workers' windows together


class Bounded:
    def __init__(self, table: np.ndarray, quantile: float):
        """Args: quantile: in (0, 1]; 1 is the maximum over the window."""
        workers, columns = table.shape
        self._table, self._quantile = table, quantile
        self._window = max(8, min(columns - WINDOW, SAMPLES // workers))

    def owed(self, x: int) -> float:
        """Total wait that worker x owes since the start, to be paid before its next inference."""
        return announcements.owed(self._table, x)

    def observe(self, y: int, tau: float) -> float:
        """Worker y's inference took `tau`. Returns how long y waits before it registers its action."""
        row = self._table[y]
        row[WINDOW + int(row[COUNT]) % self._window] = tau
        row[COUNT] += 1
        before, recent = announcements.estimate(self._table), self._recent_quantile()
        if recent > before:
            row[RISES] += recent - before
        elif recent < FALL_WHEN_BELOW * before:
            row[FALLS] += before - recent
            row[OWN] += before - recent  # here the announcer waits as well: one fall must leave all in step
        held_until = max(recent, before)
        if tau > held_until:
            self._find_next_slot(row, tau - held_until, period=held_until)
        return max(0.0, held_until - tau)

    def _find_next_slot(self, row: np.ndarray, late: float, period: float) -> None:
        row[LATE] += late
        workers = len(self._table)
        if workers > 1 and row[LATE] > period / workers / 2:
            row[OWN] += -row[LATE] % period
            row[LATE] = 0.0

    def _recent_quantile(self) -> float:
        filled = np.arange(self._window) < self._table[:, COUNT, None]
        samples = self._table[:, WINDOW : WINDOW + self._window][filled]
        rank = min(len(samples) - 1, int(np.ceil(self._quantile * len(samples))) - 1)
        return float(np.partition(samples, rank)[rank])
