"""How long a step takes, the same for both sides of benchmarks/speed.py: it runs in PyTorch's environment too."""

import time

import numpy as np


def median_ms(step, seconds: float) -> float:
    """Of as many as the time allows, after two that do not count."""
    for _ in range(2):
        step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 1000):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))
