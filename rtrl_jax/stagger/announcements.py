"""How workers tell each other to wait, without a shared counter: a table with a row for each worker.

Worker y writes only row y: running totals of what it has announced. What worker x owes is a sum over the rows of the
others, so nothing is ever reset, and a row can be read at any time. Times are seconds (any unit does).
"""

import numpy as np

RISES, FALLS, COUNT, SUM, LATE, OWN, WINDOW = 0, 1, 2, 3, 4, 5, 6
COLUMNS = WINDOW + 256


def new_table(workers: int) -> np.ndarray:
    """An empty table: float64 [N, COLUMNS]."""
    return np.zeros((workers, COLUMNS))


def distance(x, y, workers: int):
    """How far worker x is behind worker y in the cycle of workers: (y − x) mod N."""
    return (y - x) % workers


def estimate(table: np.ndarray) -> float:
    """The common estimate of τ: every change to it was announced once, so it is their sum."""
    return float(table[:, RISES].sum() - table[:, FALLS].sum())


def owed(table: np.ndarray, x: int) -> float:
    """All that worker x owes since the start, in total.

    When worker y raises the estimate by δ, the slot of a worker `dist` behind it moves dist·δ/N later. When y lowers it
    by δ the slot moves dist·δ/N earlier, and as nobody can wait less than nothing, all wait δ more: (N − dist)·δ/N.
    """
    workers = len(table)
    behind = distance(x, np.arange(workers), workers)
    ahead = workers - behind
    ahead[x] = 0
    return float(behind @ table[:, RISES] + ahead @ table[:, FALLS]) / workers + float(table[x, OWN])


def phase(table: np.ndarray, x: int) -> float:
    """How much later than worker 0 worker x should begin when all begin at once with the estimate there is."""
    workers = len(table)
    return distance(x, 0, workers) * estimate(table) / workers
