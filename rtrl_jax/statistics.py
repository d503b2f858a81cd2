"""The 95 % interval over seeds: Student's t, so that few seeds give wide ones."""

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


def half_width(values: np.ndarray, axis: int = 0) -> np.ndarray | None:
    """Of the mean along `axis`, without that axis; None for one value, which has no interval."""
    values = np.asarray(values, float)
    n = values.shape[axis]
    if n < 2:
        return None
    return stdtrit(n - 1, (1 + CONFIDENCE) / 2) * values.std(axis=axis, ddof=1) / np.sqrt(n)
