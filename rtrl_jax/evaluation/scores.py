"""Statistics of returns, by the conventions of rliable (Agarwal et al. 2021): the interquartile mean beside the mean, and
percentile bootstrap intervals, stratified where several games are put together.

The interval is that of the mean over episodes of one policy. It says nothing of how another training run would have turned out.
"""

from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 10_000
CONFIDENCE = 0.95
MOST_AT_ONCE = 4_000_000  # numbers in memory


def mean(values: np.ndarray) -> np.ndarray:
    """[..., n] -> [...]."""
    return values.mean(axis=-1)


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """[..., n] -> [...]: the mean without the lowest and the highest quarter, as scipy.stats.trim_mean(values, 0.25)."""
    n = values.shape[-1]
    cut = n // 4
    return np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1)


def interval(strata: Sequence[np.ndarray], statistic: Callable, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap's 95 % interval.

    Args:
      strata: [n_i] each; values are drawn anew within each, so that every resample has as many of each as there were.
      statistic: [..., n] -> [...], of all strata behind one another.
      seed: of the resampling; the same values and seed give the same interval.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, MOST_AT_ONCE // sum(len(values) for values in strata))
    found = []
    for start in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - start)
        drawn = [values[rng.integers(len(values), size=(rows, len(values)))] for values in strata]
        found.append(statistic(np.concatenate(drawn, axis=-1)))
    low, high = np.quantile(np.concatenate(found), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def figures(returns: np.ndarray) -> dict:
    """Of one game's returns [n], n at least 1."""
    return {
        "mean": float(mean(returns)),
        "mean_interval": interval([returns], mean),
        "median": float(np.median(returns)),
        "iqm": float(interquartile_mean(returns)),
        "iqm_interval": interval([returns], interquartile_mean),
        "std": float(returns.std(ddof=1)) if len(returns) > 1 else 0.0,
        "min": float(returns.min()),
        "max": float(returns.max()),
    }


def together(games: Sequence[np.ndarray]) -> dict:
    """Of human-normalised returns [n_i] of several games, each with as many episodes as the others if it is complete."""
    everything = np.concatenate(games)
    return {
        "mean": float(mean(everything)),
        "mean_interval": interval(games, mean),
        "iqm": float(interquartile_mean(everything)),
        "iqm_interval": interval(games, interquartile_mean),
    }
