"""A run's records as small lists for the browser, and the curves drawn of them."""

import numpy as np

from rtrl_jax.actions import text
from rtrl_jax.telemetry.summary import PROGRESS

MOST_ROWS = 600  # of one kind in a message
MOST_POINTS = 1000  # of a curve
LARGEST = 1e15  # numbers from here on, and those that are none, are left out: no chart has an axis for them
MEAN_OF = 20  # episodes
TICKS = ("tick", "at", "obs_tick", "worker", "action")
DECISIONS = ("worker", "start", "end", "obs_tick", "status", "apply_tick", "greedy", "trunk_end", "head_start")


def rows(ticks: np.ndarray, decisions: np.ndarray, origin_ns: int) -> dict:
    """The newest MOST_ROWS of TICK and OUTCOME records, times in ms since `origin_ns`; columns as in TICKS and DECISIONS.

    `worker` is −1 in a tick on which β acted.
    """
    ticks, made = ticks[-MOST_ROWS:], decisions["decision"][-MOST_ROWS:]
    decisions = decisions[-MOST_ROWS:]
    return {
        "ticks": _columns(
            ticks["tick"],
            _ms(ticks["boundary_ns"], origin_ns),
            ticks["obs_tick"],
            ticks["worker"],
            _actions(ticks["action"]),
        ),
        "decisions": _columns(
            made["worker"],
            _ms(made["start_ns"], origin_ns),
            _ms(made["end_ns"], origin_ns),
            made["obs_tick"],
            decisions["status"],
            decisions["apply_tick"],
            made["greedy"].astype(int),
            _ms(made["trunk_end_ns"], origin_ns),
            _ms(made["head_start_ns"], origin_ns),
        ),
    }


def _actions(column: np.ndarray) -> np.ndarray:
    """Numbers as they are; of vectors what people read."""
    return column if column.ndim == 1 else np.array([text(action) for action in column], object)


def _ms(stamps_ns: np.ndarray, origin_ns: int) -> np.ndarray:
    return np.round((stamps_ns - origin_ns) / 1e6, 2)


def _columns(*columns: np.ndarray) -> list[list]:
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def returns_curve(ends: list[int], returns: list[float], rate_hz: float) -> dict:
    """Return of each episode, and the mean of the last MEAN_OF, against seconds; thinned to MOST_POINTS."""
    seconds, values = np.asarray(ends, float) / rate_hz, np.asarray(returns, float)
    total = np.concatenate([[0.0], np.cumsum(values)])
    number = np.arange(1, len(values) + 1)
    first = np.maximum(number - MEAN_OF, 0)
    mean = (total[number] - total[first]) / (number - first)
    chosen = _spread(len(values))
    return {"x": _plain(seconds[chosen], 2), "y": _plain(values[chosen], 3), "mean": _plain(mean[chosen], 3)}


def curve(x, y) -> dict:
    """Thinned to MOST_POINTS."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    chosen = _spread(len(x))
    return {"x": _plain(x[chosen], 2), "y": _plain(y[chosen], 3)}


def values_curve(updates, q, target_q) -> dict:
    """Mean Q of each batch, and what it is drawn to, against updates; thinned to MOST_POINTS."""
    x, q, target_q = (np.asarray(values, float) for values in (updates, q, target_q))
    chosen = _spread(len(x))
    return {"x": _plain(x[chosen], 0), "y": _plain(q[chosen], 4), "target": _plain(target_q[chosen], 4)}


def progress_curve(ticks: np.ndarray, rate_hz: float) -> dict | None:
    """Wins against seconds; None in a game without encounters."""
    if not len(ticks) or not any(ticks[name].any() for name in PROGRESS):
        return None
    return curve(ticks["tick"] / rate_hz, ticks["wins"])


def histogram(delays: np.ndarray) -> dict:
    """How many actions were so many ticks old; the longest tenth of a percent in one bin at the end."""
    if not len(delays):
        return {"x": [], "y": []}
    last = int(np.ceil(np.quantile(delays, 0.999)))
    counts = np.bincount(np.minimum(delays, last))
    first = int(np.flatnonzero(counts)[0])
    return {"x": list(range(first, len(counts))), "y": counts[first:].tolist()}


def _spread(length: int) -> np.ndarray:
    return np.unique(np.linspace(0, length - 1, min(length, MOST_POINTS)).astype(int)) if length else np.empty(0, int)


def _plain(values: np.ndarray, digits: int) -> list:
    return [round(value, digits) if abs(value) < LARGEST else None for value in values.tolist()]
