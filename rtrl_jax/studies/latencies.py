"""How long inferences take in the studies: distributions in ticks, with or without actions that need no network."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from rtrl_jax.virtual_time.simulate import Tau

LEAST = 0.05  # of a tick: nothing takes no time


class Latency(NamedTuple):
    """A `Tau` whose distribution is known."""

    draw: Tau
    mean: float  # ticks, of the network's inferences
    quantile: Callable[[float], float]  # q -> ticks, of the network's inferences

    def __call__(self, rng: np.random.Generator, number: int) -> tuple[float, bool]:
        return self.draw(rng, number)


def constant(ticks: float) -> Latency:
    return Latency(lambda rng, number: (ticks, True), ticks, lambda q: ticks)


def normal(mean: float, sd: float) -> Latency:
    return Latency(
        lambda rng, number: (max(LEAST, rng.normal(mean, sd)), True), mean, lambda q: float(stats.norm.ppf(q, mean, sd))
    )


def gamma(mean: float, cv: float) -> Latency:
    """Args: cv: standard deviation over mean; 0 is a constant."""
    if not cv:
        return constant(mean)
    shape, scale = cv**-2, mean * cv**2
    return Latency(
        lambda rng, number: (rng.gamma(shape, scale), True),
        mean,
        lambda q: float(stats.gamma.ppf(q, shape, scale=scale)),
    )


def sampled(ticks: np.ndarray) -> Latency:
    """One of these times at random, again and again: float64 [samples]."""
    return Latency(
        lambda rng, number: (float(ticks[rng.integers(len(ticks))]), True),
        float(ticks.mean()),
        lambda q: float(np.quantile(ticks, q)),
    )


def exploring(network: Latency, epsilon: float, ticks: float = LEAST) -> Latency:
    """A share ε of the actions is decided without the network. Args: ticks: which takes so long."""

    def draw(rng, number):
        return (ticks, False) if rng.random() < epsilon else network(rng, number)

    return network._replace(draw=draw) if epsilon else network


def outliers(network: Latency, outlier: float, every: int | None = None, at: int = 1000) -> Latency:
    """One inference, number `at`, takes `outlier` ticks instead; with `every`, one in so many does."""

    def draw(rng, number):
        usual = network(rng, number)  # drawn all the same, so that the run without outliers draws the same
        is_outlier = number % every == every - 1 if every else number == at
        return (outlier, True) if is_outlier else usual

    def quantile(q):
        return outlier if every and q > 1 - 1 / every else network.quantile(q)

    mean = network.mean + (outlier - network.mean) / every if every else network.mean
    return Latency(draw, mean, quantile)
