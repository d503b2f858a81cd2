"""N_I*, the least number of inference workers that leaves less than 1 % of the ticks to β, in virtual time (Figure 7).

Counted two ways: by the mean rate of answers, as the paper does (at least 0.99 a tick), and by the ticks on which β acted.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

from rtrl_jax.studies import latencies
from rtrl_jax.studies.latencies import Latency
from rtrl_jax.studies.rows import Task
from rtrl_jax.studies.ways import WAYS, Outcome, outcome, play
from rtrl_jax.virtual_time.costs import EXPLORING_NS
from rtrl_jax.virtual_time.simulate import Counter

ALLOWED = 0.01  # inaction, or what the rate may lack of one answer a tick
RATE_HZ = 59.7275  # the Game Boy's
EXPLORING_TICKS = EXPLORING_NS * RATE_HZ / 1e9
LEAST_TICKS, CYCLES = 1500, 4  # left out while staggering settles, and as many again that count
MOST = 1024  # workers
TOLERANCE = 0.02  # N* above 50 is found to so much of itself

OUTLIER, OUTLIER_EVERY = 6.0, 300  # so many times τ, in one inference of so many
LATENCIES: dict[str, Callable[[float], Latency]] = {
    "constant": latencies.constant,
    "gamma-0.1": lambda ticks: latencies.gamma(ticks, 0.1),
    "gamma-0.5": lambda ticks: latencies.gamma(ticks, 0.5),
    "outliers": lambda ticks: latencies.outliers(latencies.constant(ticks), OUTLIER * ticks, every=OUTLIER_EVERY),
}
FITS = 0.999  # of a whole number of ticks: so that an inference of n ticks ends just before the nth boundary

WHOLE = tuple(n * FITS for n in (1, 2, 4, 8, 16, 64, 256, 600))
HALF = tuple(n + 0.5 for n in (1, 2, 4, 8, 16, 64, 256))  # the ends of inferences then fall between two boundaries
VARYING = tuple(n * FITS for n in (1, 4, 16, 64))
SEEDS = (0, 1, 2, 3, 4)
# (ε, whether τ varies) -> the longest mean τ that is searched, of workers that never wait and of the others. Workers that never
# wait make so many decisions that a long τ takes minutes to simulate. (With a constant τ those of Algorithm 2 do wait.)
LONGEST = {(0.0, False): (64.5, math.inf), (0.0, True): (16, 64), (0.5, False): (8, 64)}
NEVER_WAIT = ("none", "expected_time")


class Point(NamedTuple):
    """One setting and its N_I*; None where no number up to the cap is enough, or none was tried."""

    latency: str  # of `LATENCIES`, or "network": as measured
    epsilon: float
    algorithm: str  # of `WAYS`
    parameters: int | None  # None if the time is stated
    stated_ticks: float  # the time that is stated, or the mean of those that were measured
    seed: int
    searched: bool  # if not, all that follows but the ceilings is None
    workers_by_inaction: int | None
    workers_by_rate: int | None
    tau_ticks: float  # mean time of the network's inferences
    ceil: int  # ⌈τ/τ_M⌉ of the mean over all actions, the exploratory ones too
    inaction: float | None  # with the former number of workers
    inaction_by_rate: float | None  # with the latter
    delay: float | None  # mean, in ticks, with the former
    cap: int  # the most workers that were tried

    KEY = 6


def least(enough: Callable[[int], bool], guess: int, cap: int) -> int | None:
    """The least number in 1 … cap that is enough, if a number above one that is enough is enough as well; None if none is.

    Gallops from the guess, then bisects; so a good guess takes two trials. Above 50 it is at most 2 % too many.
    """
    guess, step = min(max(guess, 1), cap), 1
    if enough(guess):
        low, high = 0, guess
        while high - step > 0 and enough(high - step):
            high, step = high - step, 2 * step
        low = max(0, high - step)
    else:
        low, high = guess, min(guess + step, cap)
        while low < cap and not enough(high):
            step *= 2
            low, high = high, min(high + step, cap)
        if low >= cap:
            return None
    while high - low > max(1, TOLERANCE * high):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def cap(tau_ticks: float) -> int:
    """The most workers to try: generous where that is cheap, and well above ⌈τ/τ_M⌉ always."""
    return min(MOST, math.ceil(min(10 * tau_ticks, 2 * tau_ticks + 64)) + 16)


def find(
    algorithm: str,
    network: Latency,
    *,
    epsilon: float,
    latency: str,
    stated_ticks: float,
    seed: int = 0,
    parameters: int | None = None,
    most: int | None = None,
    searched: bool = True,
) -> Point:
    """N_I* of one setting, both ways. Args: network: its inference times."""
    tau = latencies.exploring(network, epsilon, EXPLORING_TICKS)
    mean = network.mean * (1 - epsilon) + EXPLORING_TICKS * epsilon
    ceil, most = max(1, math.ceil(mean)), most or cap(network.mean)
    key = (latency, epsilon, algorithm, parameters, stated_ticks, seed, searched)
    if not searched:
        return Point(*key, None, None, network.mean, ceil, None, None, None, most)
    tried = cache(lambda workers: _play(algorithm, workers, tau, seed))
    by_rate = least(lambda n: tried(n).rate >= 1 - ALLOWED, ceil, most)
    by_inaction = least(lambda n: tried(n).inaction < ALLOWED, by_rate or ceil, most)
    found, by_mean = (tried(n) if n else None for n in (by_inaction, by_rate))
    left = found and found.inaction, by_mean and by_mean.inaction, found and found.delay
    return Point(*key, by_inaction, by_rate, network.mean, ceil, *left, most)


def _play(algorithm: str, workers: int, tau: Latency, seed: int) -> Outcome:
    settle = round(max(LEAST_TICKS, CYCLES * tau.mean))
    played = play(algorithm, Counter(rate_hz=RATE_HZ), tau, workers=workers, ticks=2 * settle, seed=seed)
    return outcome(played, played.records[settle:])


def against_tau(
    seeds: Sequence[int] = SEEDS,
    ticks: Sequence[float] = WHOLE + HALF,
    varying: Sequence[float] = VARYING,
    most: int | None = None,
) -> list[Task]:
    """What there is to find against τ: the first seed of all settings before the second. Args: most: workers to try."""
    settings = [("constant", 0.0, ticks), ("constant", 0.5, varying)]
    settings += [(kind, 0.0, varying) for kind in LATENCIES if kind != "constant"]
    tasks = []
    for seed in seeds:
        for kind, epsilon, stated in settings:
            varies = kind != "constant"
            if seed != seeds[0] and not varies and not epsilon:
                continue  # nothing in it is random
            for algorithm in WAYS:
                for tau in stated:
                    waits = algorithm not in NEVER_WAIT or (algorithm, varies, epsilon) == ("expected_time", False, 0.0)
                    short = tau <= LONGEST[epsilon, varies][waits]
                    search = partial(find, algorithm, LATENCIES[kind](tau), epsilon=epsilon, latency=kind)
                    search = partial(search, stated_ticks=tau, seed=seed, most=most, searched=short)
                    tasks.append(Task((kind, epsilon, algorithm, None, tau, seed), search))
    return tasks


def of_networks(networks: dict[int, Latency], seeds: Sequence[int] = SEEDS) -> list[Task]:
    """The same for networks whose times were measured. Args: networks: inference times by number of parameters."""
    tasks = []
    for seed in seeds:
        for parameters, network in networks.items():
            for epsilon in (0.0, 0.5):
                for algorithm in WAYS:
                    short = network.mean <= (8 if algorithm in NEVER_WAIT else 100) or not epsilon
                    search = partial(find, algorithm, network, epsilon=epsilon, latency="network", seed=seed)
                    search = partial(search, stated_ticks=network.mean, parameters=parameters, searched=short)
                    tasks.append(Task(("network", epsilon, algorithm, parameters, network.mean, seed), search))
    return tasks
