"""What learning costs, against Equation 2's √(τ/τ_I): an optimistic tabular Q in the world in which it is hardest to learn.

The world of the lower bound is one state and A actions, one of which pays with probability ½ + gap/2 and the others with
½ − gap/2. For n decisions the hardest gap is about √(A/n), so each horizon is played with several gaps and the worst one counts.
The agent is Q-learning with a bonus for what it has seldom tried (Jin et al. 2018, their Hoeffding bonus, with its constant as an
argument). An action's outcome comes after the delay, and until then further ones are chosen without it: that is what asynchronous
interaction changes.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from rtrl_jax.studies.rows import Task

ACTIONS = 4
DELAY = 8  # ticks, of those that think for longer than a tick
WAYS = {  # name -> (ticks from one decision to the next, decisions that are made before an outcome is known)
    "paused": (1, 1),
    "async": (1, DELAY),
    "sequential": (DELAY, 1),
}
HORIZONS = tuple(2**k for k in range(11, 17))  # ticks
GAPS = tuple(2.0**k for k in range(-2, 4))  # times √(A/n)
BONUS = 0.6  # times √(log(A n)/t)
SEEDS = 20


class Learned(NamedTuple):
    """One way, horizon, gap and seed."""

    way: str  # of `WAYS`
    horizon: int  # ticks
    gap: float  # in √(A/n)
    seed: int
    decisions: int  # n
    regret: float  # reward lost, in expectation over the payments of what was chosen

    KEY = 4


def tasks(seeds: int = SEEDS, horizons: Sequence[int] = HORIZONS) -> list[Task]:
    return [
        Task((way, horizon, gap, seed), partial(measure, way, horizon, gap, seed))
        for way in WAYS
        for horizon in horizons
        for gap in GAPS
        for seed in range(seeds)
    ]


def measure(way: str, horizon: int, gap: float, seed: int) -> Learned:
    every, lag = WAYS[way]
    n = horizon // every
    size = min(1.0, gap * np.sqrt(ACTIONS / n))
    return Learned(way, horizon, gap, seed, n, regret(n, lag, size, seed))


def regret(n: int, lag: int, gap: float, seed: int) -> float:
    """Reward that n decisions lose, whose outcomes are each known after `lag` decisions."""
    rng = np.random.default_rng(seed)
    best = int(rng.integers(ACTIONS))
    pays = rng.random((n, ACTIONS)) < np.where(np.arange(ACTIONS) == best, 0.5 + gap / 2, 0.5 - gap / 2)
    pays, log = pays.tolist(), float(np.log(ACTIONS * n))
    bonus = [BONUS * (log / t) ** 0.5 for t in range(1, n + 1)]
    q, tried, chosen, wrong = [1.0] * ACTIONS, [0] * ACTIONS, [], 0  # optimistic: no action pays more than 1
    for now in range(n):
        if now >= lag:
            action = chosen[now - lag]
            tried[action] += 1
            t = tried[action]
            step = 2.0 / (1.0 + t)  # (H + 1)/(H + t), with one step to go
            q[action] += step * (pays[now - lag][action] + bonus[t - 1] - q[action])
        action = q.index(max(q))
        chosen.append(action)
        wrong += action != best
    return gap * wrong
