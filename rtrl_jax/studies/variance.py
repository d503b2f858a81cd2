"""What varying inference times do to each algorithm: inaction, delay, N* and the cost of an outlier against the cv of τ."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from rtrl_jax.studies import latencies, scaling
from rtrl_jax.virtual_time.simulate import Counter, simulate

MEAN, WORKERS = 9.99, 12  # ticks, and as many workers as τ̄ needs with a fifth to spare
CVS = (0.0, 0.05, 0.1, 0.25, 0.5)
OUTLIER = 60.0  # ticks
SETTLE, AFTER = 2000, 2000  # ticks before the outlier, and those after it in which lost ticks are counted
MOST = 60  # workers that N* is looked for among


class Row(NamedTuple):
    """One algorithm with inference times of one cv, gamma distributed."""

    algorithm: str
    cv: float
    inaction: float
    delay: float  # mean, in ticks
    workers_by_inaction: int | None
    workers_by_rate: int | None
    cap: int
    outlier_cost: float  # ticks left to β in the 2,000 after an inference of 60 ticks, more than without it
    outlier_half_width: float | None  # of its 95 % interval over seeds
    seeds: int


def rows(cvs=CVS, seeds: int = 2, algorithms=tuple(scaling.ALGORITHMS)) -> list[Callable[[], Row]]:
    """What there is to measure, each a function that does."""
    return [(lambda a=algorithm, cv=cv: measure(a, cv, seeds)) for algorithm in algorithms for cv in cvs]


def measure(algorithm: str, cv: float, seeds: int) -> Row:
    from rtrl_jax.studies.regret import half_width

    tau = latencies.gamma(MEAN, cv)
    point = scaling.find(algorithm, tau, epsilon=0.0, latency="gamma", obtained="virtual", tau_ticks=MEAN, most=MOST)
    usual = [_lost(algorithm, tau, seed) for seed in range(seeds)]
    disturbed = [_lost(algorithm, latencies.outliers(tau, OUTLIER, at=SETTLE), seed) for seed in range(seeds)]
    cost = np.array([d[0] - u[0] for d, u in zip(disturbed, usual, strict=True)])
    return Row(
        algorithm,
        cv,
        float(np.mean([u[0] for u in usual])) / AFTER,
        float(np.mean([u[1] for u in usual])),
        point.workers_by_inaction,
        point.workers_by_rate,
        point.cap,
        float(cost.mean()),
        half_width(cost),
        seeds,
    )


def _lost(algorithm: str, tau, seed: int) -> tuple[int, float]:
    """(ticks left to β in the last `AFTER`, mean delay there)."""
    interaction, quantile = scaling.ALGORITHMS[algorithm]
    # Inference number SETTLE comes at about tick SETTLE where there is one a tick; a little later or earlier elsewhere.
    records = simulate(
        Counter(),
        lambda frame: 0,
        tau,
        interaction=interaction,
        workers=WORKERS,
        ticks=SETTLE + AFTER,
        quantile=quantile,
        seed=seed,
    ).records[-AFTER:]
    acting = records[~records["is_default"]]
    return int(records["is_default"].sum()), float((acting["tick"] - acting["obs_tick"]).mean())


@cache
def poisson() -> float:
    """e^(−N τ_M/τ̄): inaction were the answers to come at random."""
    return float(np.exp(-WORKERS / MEAN))
