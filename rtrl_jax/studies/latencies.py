"""How long inferences take in the studies: distributions in ticks, with or without actions that need no network."""

import numpy as np

from rtrl_jax.virtual_time.simulate import Tau

LEAST = 0.05  # of a tick: nothing takes no time


def constant(ticks: float) -> Tau:
    return lambda rng, number: (ticks, True)


def normal(mean: float, sd: float) -> Tau:
    return lambda rng, number: (max(LEAST, rng.normal(mean, sd)), True)


def gamma(mean: float, cv: float) -> Tau:
    """Args: cv: standard deviation over mean; 0 is a constant."""
    return (lambda rng, number: (rng.gamma(cv**-2, mean * cv**2), True)) if cv else constant(mean)


def exploring(tau: Tau | float, epsilon: float, ticks: float = LEAST) -> Tau:
    """A share ε of the actions is decided without the network. Args: ticks: which takes so long."""
    network = tau if callable(tau) else constant(tau)

    def draw(rng, number):
        return (ticks, False) if rng.random() < epsilon else network(rng, number)

    return draw if epsilon else network


def outliers(tau: Tau | float, outlier: float, every: int | None = None, at: int = 1000) -> Tau:
    """One inference, number `at`, takes `outlier` ticks instead; with `every`, one in so many does."""
    network = tau if callable(tau) else constant(tau)

    def draw(rng, number):
        usual = network(rng, number)  # drawn all the same, so that the run without outliers draws the same
        is_outlier = number % every == every - 1 if every else number == at
        return (outlier, True) if is_outlier else usual

    return draw


def mean(tau: Tau, samples: int = 4096) -> float:
    """E τ in ticks, from draws."""
    rng = np.random.default_rng(0)
    return float(np.mean([tau(rng, number)[0] for number in range(samples)]))
