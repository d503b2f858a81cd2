"""Whether something grows: a slope that bursts and single steps do not move, and how sure it is.

What a process holds comes and goes, as with each checkpoint; what a leak adds stays. So each sixtieth of the time counts by its
lowest value. The slope is the median of the slopes between any two of these (Theil and Sen): a step that happens once leaves it
at zero. Its 95 % interval is that of 500 repetitions in which the residuals are put together anew, a tenth of them in a row at a
time, since neighbours resemble each other (a moving-block bootstrap). It is too narrow for what wanders for longer than that.
"""

from typing import NamedTuple

import numpy as np

WINDOWS = 60
REPETITIONS = 500
BLOCK = 0.1  # of the windows
LEAST = 10  # samples of a process
END = 0.1  # of the time, at either end, between which a count is compared


class Slope(NamedTuple):
    """Of something per hour, with its 95 % interval."""

    an_hour: float
    low: float
    high: float

    def at_most(self, goal: float) -> bool | None:
        """None where the interval holds the goal, so that nothing can be said."""
        if self.high <= goal:
            return True
        return False if self.low > goal else None


def lowest(seconds: np.ndarray, values: np.ndarray, windows: int = WINDOWS) -> tuple[np.ndarray, np.ndarray]:
    """(middles in seconds, lowest values) of windows of equal length; an empty one is left out. Args: both [n], in order."""
    edges = np.linspace(seconds[0], seconds[-1], windows + 1)
    where = np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, windows - 1)
    met = np.unique(where)
    least = np.full(windows, np.inf)
    np.minimum.at(least, where, values)
    return (edges[met] + edges[met + 1]) / 2, least[met]


def slope(seconds: np.ndarray, values: np.ndarray, seed: int = 0) -> Slope:
    """Args: seconds, values: [n], in order; at least three windows' worth, or ValueError."""
    at, y = lowest(seconds, values)
    if len(at) < 3:
        raise ValueError(f"{len(at)} windows are too few for a slope")
    first, second = np.triu_indices(len(at), 1)
    hours = (at[second] - at[first]) / 3600

    def theil_sen(values: np.ndarray) -> float:
        return float(np.median((values[second] - values[first]) / hours))

    found = theil_sen(y)
    line = found * at / 3600
    residuals = y - line
    length = max(1, round(BLOCK * len(at)))
    rng, blocks = np.random.default_rng(seed), -(-len(at) // length)
    starts = rng.integers(len(at) - length + 1, size=(REPETITIONS, blocks))
    picked = (starts[:, :, None] + np.arange(length)).reshape(REPETITIONS, -1)[:, : len(at)]
    repeated = [theil_sen(line + residuals[one]) for one in picked]
    low, high = np.quantile(repeated, [0.025, 0.975])
    return Slope(found, min(float(low), found), max(float(high), found))


def growth(seconds: np.ndarray, counts: np.ndarray) -> int:
    """By how much the least of the last tenth of the time exceeds the least of the first. Args: [n] each, in order."""
    length = END * (seconds[-1] - seconds[0])
    first, last = counts[seconds <= seconds[0] + length], counts[seconds >= seconds[-1] - length]
    return int(last.min() - first.min())


class Growth(NamedTuple):
    """What each of some processes has come to hold more of."""

    slopes: dict[str, Slope]  # of memory, MB an hour
    descriptors: dict[str, int]
    threads: dict[str, int]


def of(series: dict) -> Growth:
    """Args: series: `watch.Series` by name, without the warm-up; those with next to nothing in them are left out."""
    series = {name: one for name, one in series.items() if len(one.seconds) >= LEAST}
    return Growth(
        {name: slope(one.seconds, one.mb) for name, one in series.items()},
        {name: growth(one.seconds, one.descriptors) for name, one in series.items()},
        {name: growth(one.seconds, one.threads) for name, one in series.items()},
    )
