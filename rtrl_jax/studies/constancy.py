"""What varying inference times do to each way of staggering, where nothing learns: inaction, delay, and how constant it is.

The ways are compared with equally many workers and each with its own N_I*, as what they need is not the same.
"""

import math
from collections.abc import Sequence
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from rtrl_jax.studies import latencies
from rtrl_jax.studies.latencies import Latency
from rtrl_jax.studies.rows import Task
from rtrl_jax.studies.scaling import ALLOWED, SEEDS, least
from rtrl_jax.studies.ways import PRESET, WAYS, outcome, play
from rtrl_jax.virtual_time.simulate import Counter

MEAN, HALF = 9.99, 9.5  # ticks: one whose answers come just before a boundary, one whose answers come between two
CVS = (0.0, 0.05, 0.1, 0.25, 0.5)
FEW = 12  # workers, a fifth more than the mean takes
MOST = 60  # among which N* is looked for
SETTLE, COUNTED = 2000, 2000  # ticks
OUTLIER = 60.0  # ticks
RULES = {  # how many workers each way has
    "few": "12 for all",
    "warm": "for all as many as Algorithm 1 needs that is told the longest time",
    "own": "each its own N*",
}


class Row(NamedTuple):
    """One way with one number of workers. Of the ticks from the 2,000th on, as many."""

    times: str  # "gamma", or "measured": those of a network, scaled to the mean
    mean_ticks: float
    cv: float
    algorithm: str
    rule: str  # of `RULES`
    seed: int
    workers: int | None  # None: no number up to `MOST` is enough, and nothing else is known
    inaction: float | None  # share of the ticks
    delay: float | None  # mean, in ticks
    delay_sd: float | None  # ticks
    outlier_cost: (
        int | None
    )  # ticks left to β more than without it after an inference of 60 ticks; where else nothing varies

    KEY = 6


def tasks(seeds: Sequence[int] = SEEDS, cvs: Sequence[float] = CVS, ways: Sequence[str] = tuple(WAYS)) -> list[Task]:
    """What there is to find, the first seed of all settings before the second."""
    found = []
    for seed in seeds:
        for mean, cv in [(MEAN, cv) for cv in cvs] + [(HALF, 0.0)]:
            if cv or seed == seeds[0]:  # without variance nothing is random
                found += _each("gamma", latencies.gamma(mean, cv), cv, seed, ways)
    return found


def of_network(ticks: np.ndarray, seeds: Sequence[int] = SEEDS) -> list[Task]:
    """The same for times that were measured, scaled to a mean of `MEAN` ticks. Args: ticks: float64 [samples]."""
    scaled = ticks * (MEAN / ticks.mean())
    cv = float(scaled.std() / MEAN)
    return [task for seed in seeds for task in _each("measured", latencies.sampled(scaled), cv, seed)]


def _each(times: str, tau: Latency, cv: float, seed: int, ways: Sequence[str] = tuple(WAYS)) -> list[Task]:
    # A mean of scaled samples is the stated one but for rounding.
    mean = float(f"{tau.mean:.6g}")
    return [
        Task((times, mean, cv, way, rule, seed), partial(measure, times, mean, cv, way, rule, seed, tau))
        for way in ways
        for rule in RULES
    ]


def measure(times: str, mean: float, cv: float, algorithm: str, rule: str, seed: int, tau: Latency) -> Row:
    played = cache(lambda workers: _play(algorithm, workers, tau, seed))
    workers = {
        "few": lambda: FEW,
        "warm": lambda: math.ceil(tau.quantile(PRESET)),
        "own": lambda: _own(lambda n: played(n).inaction < ALLOWED, math.ceil(tau.mean)),
    }[rule]()
    if workers is None:
        return Row(times, mean, cv, algorithm, rule, seed, None, None, None, None, None)
    usual = played(workers)
    cost = None
    if not cv and rule == "few":
        disturbed = _play(algorithm, workers, latencies.outliers(tau, OUTLIER, at=SETTLE), seed)
        cost = round((disturbed.inaction - usual.inaction) * COUNTED)
    return Row(times, mean, cv, algorithm, rule, seed, workers, usual.inaction, usual.delay, usual.delay_sd, cost)


def _own(enough, guess: int) -> int | None:
    """N*. The most workers are tried first: where they are too few, which takes long to simulate, fewer are taken to be too."""
    return least(enough, guess, MOST) if enough(MOST) else None


def _play(algorithm: str, workers: int, tau: Latency, seed: int):
    # Inference number SETTLE comes at about tick SETTLE where there is one a tick; a little later or earlier elsewhere.
    played = play(algorithm, Counter(), tau, workers=workers, ticks=SETTLE + COUNTED, seed=seed)
    return outcome(played, played.records[-COUNTED:])
