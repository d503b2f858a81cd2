"""The ways of staggering that the studies compare: an algorithm, and what its estimate begins with."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtrl_jax.studies.latencies import Latency
from rtrl_jax.virtual_time.simulate import Played, simulate

PRESET = 0.99999  # a quantile of τ that some thousand inferences hardly ever pass


class Way(NamedTuple):
    """See `simulate`."""

    interaction: str
    quantile: float = 0.0
    preset: float | None = (
        None  # the quantile of τ its estimate begins with, phases laid out; None: it begins with nothing
    )


# The paper's code begins warm: it presets the longest inference time and spaces its workers before the first one.
WAYS = {
    "none": Way("none"),
    "max_time": Way("max_time"),
    "max_time_warm": Way("max_time", preset=PRESET),
    "bounded": Way("max_time", quantile=0.99),
    "expected_time": Way("expected_time"),
    "ticket": Way("ticket"),
}
SEQUENTIAL = {"sequential": Way("sequential")}


def play(
    name: str,
    environment,
    tau: Latency,
    *,
    workers: int,
    ticks: int,
    seed: int,
    policy: Callable[[np.ndarray], int] = lambda frame: 0,
) -> Played:
    """One simulation of a way of `WAYS` or `SEQUENTIAL`."""
    way = (WAYS | SEQUENTIAL)[name]
    return simulate(
        environment,
        policy,
        tau,
        interaction=way.interaction,
        workers=workers,
        ticks=ticks,
        quantile=way.quantile,
        tau_initial=None if way.preset is None else tau.quantile(way.preset),
        seed=seed,
    )


class Outcome(NamedTuple):
    """What a stretch of a simulation shows."""

    inaction: float  # share of the ticks
    rate: float  # answers a tick
    delay: float | None  # mean, in ticks; None if none acted
    delay_sd: float | None


def outcome(played: Played, counted: np.ndarray) -> Outcome:
    """Args: counted: those of the ticks that count, the last ones."""
    acting = counted[~counted["is_default"]]
    delays = acting["tick"] - acting["obs_tick"]
    answers = played.decisions["decision"]["registered_ns"] >= counted["boundary_ns"][0]
    mean, sd = (float(delays.mean()), float(delays.std())) if len(delays) else (None, None)
    return Outcome(float(counted["is_default"].mean()), float(answers.sum() / len(counted)), mean, sd)
