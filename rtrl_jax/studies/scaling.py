"""N_I*, the least number of inference workers that leaves less than 1 % of the ticks to β, in virtual time (Figure 7).

Counted two ways: by the mean rate of answers, as the paper does (at least 0.99 a tick), and by the ticks on which β acted.
"""

import math
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from rtrl_jax.studies import latencies
from rtrl_jax.virtual_time.costs import EXPLORING_NS
from rtrl_jax.virtual_time.simulate import Counter, Tau, simulate

ALLOWED = 0.01  # inaction, or what the rate may lack of one answer a tick
RATE_HZ = 59.7275  # the Game Boy's
EXPLORING_TICKS = EXPLORING_NS * RATE_HZ / 1e9
LEAST_TICKS, CYCLES = 1500, 4  # left out while staggering settles, and as many again that count
MOST = 1024  # workers
TOLERANCE = 0.02  # N* above 50 is found to so much of itself

ALGORITHMS = {  # name -> (interaction, quantile of `simulate`)
    "none": ("none", 0.0),
    "max_time": ("max_time", 0.0),
    "bounded": ("max_time", 0.99),
    "expected_time": ("expected_time", 0.0),
    "ticket": ("ticket", 0.0),
}
NORMAL_CV, GAMMA_CV = 0.05, 0.5
OUTLIER, OUTLIER_EVERY = 6.0, 300  # so many times τ, in one inference of so many
LATENCIES: dict[str, Callable[[float], Tau]] = {
    "constant": latencies.constant,
    "normal": lambda ticks: latencies.normal(ticks, NORMAL_CV * ticks),
    "gamma": lambda ticks: latencies.gamma(ticks, GAMMA_CV),
    "outliers": lambda ticks: latencies.outliers(ticks, OUTLIER * ticks, every=OUTLIER_EVERY),
}
FITS = 0.999  # of a whole number of ticks: so that an inference of n ticks ends just before the nth boundary


class Outcome(NamedTuple):
    """Of one simulation, in its second half."""

    inaction: float  # share of the ticks
    rate: float  # answers a tick
    delay: float | None  # mean, in ticks; None if none acted


class Point(NamedTuple):
    """One setting and its N_I*; None where no number below the cap is enough."""

    tau_ticks: float  # mean time of the network, in ticks
    parameters: int | None  # None if the time is stated
    algorithm: str
    epsilon: float
    latency: str
    workers_by_inaction: int | None
    workers_by_rate: int | None
    ceil: int  # ⌈τ/τ_M⌉ of the mean over all actions, the exploratory ones too
    ceil_network: int  # ⌈τ/τ_M⌉ of the network's mean
    inaction: float | None  # with the former number of workers
    inaction_by_rate: float | None  # with the latter
    delay: float | None  # mean, in ticks, with the former
    cap: int  # the most workers that were tried
    obtained: str


def play(algorithm: str, workers: int, tau: Tau, longest: float, seed: int = 0) -> Outcome:
    """One simulation. Args: longest: a usual τ in ticks, by which the length is chosen."""
    interaction, quantile = ALGORITHMS[algorithm]
    settle = round(max(LEAST_TICKS, CYCLES * longest))
    world = Counter(rate_hz=RATE_HZ)
    records, decisions = simulate(
        world,
        lambda frame: 0,
        tau,
        interaction=interaction,
        workers=workers,
        ticks=2 * settle,
        quantile=quantile,
        seed=seed,
    )
    counted = records[settle:]
    acting = counted[~counted["is_default"]]
    answers = decisions["decision"]["registered_ns"] >= counted["boundary_ns"][0]
    delay = float((acting["tick"] - acting["obs_tick"]).mean()) if len(acting) else None
    return Outcome(float(counted["is_default"].mean()), float(answers.sum() / len(counted)), delay)


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
    network: Tau,
    *,
    epsilon: float,
    latency: str,
    obtained: str,
    tau_ticks: float,
    parameters: int | None = None,
    most: int | None = None,
) -> Point:
    """N_I* of one setting, both ways. Args: network: its inference times; tau_ticks: their mean."""
    tau = latencies.exploring(network, epsilon, EXPLORING_TICKS)
    mean = tau_ticks * (1 - epsilon) + EXPLORING_TICKS * epsilon
    ceil, most = max(1, math.ceil(mean)), most or cap(tau_ticks)
    tried = cache(lambda workers: play(algorithm, workers, tau, tau_ticks))
    by_rate = least(lambda n: tried(n).rate >= 1 - ALLOWED, ceil, most)
    by_inaction = least(lambda n: tried(n).inaction < ALLOWED, by_rate or ceil, most)
    found = tried(by_inaction) if by_inaction else None
    return Point(
        tau_ticks,
        parameters,
        algorithm,
        epsilon,
        latency,
        by_inaction,
        by_rate,
        ceil,
        max(1, math.ceil(tau_ticks)),
        found and found.inaction,
        tried(by_rate).inaction if by_rate else None,
        found and found.delay,
        most,
        obtained,
    )


def against_tau(
    ticks: Iterable[float], kinds: Iterable[str] = tuple(LATENCIES), most: int | None = None
) -> list[Callable[[], Point]]:
    """What there is to find against τ, each a function that finds it. Args: ticks: ascending. most: workers to try."""
    return [
        partial(_one, algorithm, epsilon, kind, tau, most)
        for kind in kinds
        for epsilon in (0.0, 0.5)
        for algorithm in ALGORITHMS
        for tau in ticks
        if tau <= LONGEST[kind == "constant", epsilon, algorithm in ("none", "expected_time")]
    ]


# (constant, ε, whether workers never wait) -> the longest τ. Exploring workers that never wait make so many decisions that
# a long τ takes minutes to simulate.
LONGEST = {
    (True, 0.0, False): math.inf,
    (True, 0.0, True): math.inf,
    (True, 0.5, False): math.inf,
    (True, 0.5, True): 8,
    (False, 0.0, False): 64,
    (False, 0.0, True): 16,
    (False, 0.5, False): 16,
    (False, 0.5, True): 0,  # random anyway, and long to search
}


def _one(algorithm: str, epsilon: float, kind: str, tau: float, most: int | None) -> Point:
    network = LATENCIES[kind](tau * FITS)
    mean = tau * FITS * (1 + (OUTLIER - 1) / OUTLIER_EVERY if kind == "outliers" else 1)
    return find(algorithm, network, epsilon=epsilon, latency=kind, obtained="virtual", tau_ticks=mean, most=most)


class Fit(NamedTuple):
    """A least-squares line."""

    slope: float
    intercept: float
    r2: float | None  # None where all values are the same
    points: int


def fit(xs, ys) -> Fit | None:
    """None for fewer than three different xs: through two any line goes."""
    xs, ys = np.asarray(xs, float), np.asarray(ys, float)
    if len(set(xs.tolist())) < 3:
        return None
    slope, intercept = np.polyfit(xs, ys, 1)
    spread = ((ys - ys.mean()) ** 2).sum()
    left = ((ys - slope * xs - intercept) ** 2).sum()
    return Fit(float(slope), float(intercept), float(1 - left / spread) if spread else None, len(xs))


def fits(points: list[Point]) -> list[dict]:
    """Lines of N_I* against τ, and against parameters, for each algorithm, ε, latency and way of counting."""
    table = []
    for x, mine in (
        ("tau_ticks", [point for point in points if point.parameters is None]),
        ("parameters", [point for point in points if point.parameters is not None]),
    ):
        for key in dict.fromkeys((p.algorithm, p.epsilon, p.latency) for p in mine):
            group = [p for p in mine if (p.algorithm, p.epsilon, p.latency) == key]
            for counted in ("workers_by_inaction", "workers_by_rate", "ceil"):
                found = [p for p in group if getattr(p, counted) is not None]
                line = fit([getattr(p, x) for p in found], [getattr(p, counted) for p in found])
                row = dict(zip(("algorithm", "epsilon", "latency"), key, strict=True))
                row |= {"x": x, "counted": counted, **(line or Fit(None, None, None, len(found)))._asdict()}
                table.append({**row, "none_found": len(group) - len(found)})
    return table
