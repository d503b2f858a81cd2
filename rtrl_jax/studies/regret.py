"""Measures regret a second, in worlds where it is known, for each way of interacting: Theorem 1 against the real loops.

The policy is the best there is, so nothing is lost to learning, and what is left is inaction and delay. It is the best
of those that map an observation to an action: it knows how the delays of its way of interacting are distributed, as an agent
that learns in the delayed semi-MDP comes to know, but not what the delay of the next action will be.

What these worlds do next depends on no action. So one play of the loops, which says when actions act and from which
observations, serves all of them: the world walks by itself, and each action is judged by where it was aimed.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from rtrl_jax import theory
from rtrl_jax.environments.toy import RATE_HZ, STATES
from rtrl_jax.studies.latencies import Latency
from rtrl_jax.studies.rows import Task
from rtrl_jax.studies.ways import play
from rtrl_jax.virtual_time.simulate import Counter

TAU_M = 1 / RATE_HZ
BEST = 1.0  # reward a tick
INTERACTIONS = ("sequential", "max_time", "max_time_warm", "expected_time", "ticket")
FITS = 0.999  # of a tick: so that an inference of n ticks is over just before, not just after, the nth boundary
SETTLE = 0.25  # of the ticks, left out: the rates are those in the long run, and staggering takes time to settle
SAMPLES = 4096
TICKS = 8000  # of each run
RULES = ("own", "equal")  # workers: each way its own N*; all as many as Algorithm 1 needs that is told the longest time


class World(NamedTuple):
    p: float  # p_minimax; 1 for a world in which delay costs nothing
    position: Callable[[int], np.ndarray]  # steps -> probability of each state, counted from the one seen
    moves: Callable[
        [np.random.Generator, int], np.ndarray
    ]  # (rng, steps) -> how far round the cycle each goes: int [steps]


def _chain(p: float) -> World:
    def moves(rng, steps):
        return np.where(rng.random(steps) < p, 1, 1 + rng.integers(1, STATES, steps))

    return World(p, partial(theory.chain_position, p, states=STATES), moves)


def _cycle(p: float) -> World:
    return World(p, partial(theory.cycle_position, p, states=STATES), lambda rng, steps: (rng.random(steps) >= p) * 1)


# toy/Inaction-v0 (the proof of Equation 3), toy/delay-P (that of Equation 4) and toy/chain-P.
WORLDS = {"inaction": World(1.0, lambda k: np.ones(1), lambda rng, steps: np.zeros(steps, int))}
WORLDS["delay-0.9"] = _cycle(0.9)
WORLDS |= {f"chain-{p:g}": _chain(p) for p in (0.5, 0.7, 0.9, 0.97, 1.0)}


class Times(NamedTuple):
    """Inference times by a quantile function of their mean."""

    ratios: tuple[float, ...]  # mean τ_θ/τ_M
    ticks: Callable[[float, np.ndarray], np.ndarray]  # (ratio, quantiles) -> ticks


WHOLE = (1, 2, 4, 8, 16, 32)
LATENCIES = {
    "constant": Times(WHOLE, lambda mean, u: mean * FITS + 0 * u),
    # The ends of inferences fall between two boundaries, where Algorithms 1 and 2 act from observations of two ages in turn.
    "half": Times((2.5, 8.5, 16.5), lambda mean, u: mean + 0 * u),
    "uniform": Times(WHOLE, lambda mean, u: mean * FITS * (0.5 + u)),
}


class Measured(NamedTuple):
    """One world, way and seed. Regret is in units of reward a second, of which the most is `RATE_HZ`."""

    latency: str
    ratio: float  # mean τ_θ/τ_M
    interaction: str
    rule: str  # of `RULES`
    world: str
    seed: int
    workers: int
    inaction: float  # share of the ticks
    delay_mean: float  # ticks
    delay_sd: float
    regret: float
    predicted: float  # from the inaction and the delays of this very run, in closed form
    bound: float  # Theorem 1's, from τ_θ, τ_M and τ_I alone

    KEY = 6


def tasks(seeds: Sequence[int], latencies: Sequence[str] = tuple(LATENCIES), most: float = np.inf) -> list[Task]:
    """A row for each latency, ratio, interaction, rule, world and seed; the first seed of all before the second.

    Args: most: the largest ratio.
    """
    return [
        Task((latency, ratio, interaction, rule, world, seed), partial(measure, *_setting, world, TICKS, seed))
        for seed, latency in itertools.product(seeds, latencies)
        for ratio, interaction, rule in itertools.product(LATENCIES[latency].ratios, INTERACTIONS, RULES)
        if ratio <= most and (rule == "own" or _has_another_number(latency, ratio, interaction))
        for _setting in [(latency, ratio, interaction, rule)]
        for world in WORLDS
    ]


def _has_another_number(latency: str, ratio: float, interaction: str) -> bool:
    return latency == "uniform" and ratio in (8, 32) and interaction in ("expected_time", "ticket")


def measure(latency: str, ratio: float, interaction: str, rule: str, world: str, ticks: int, seed: int) -> Measured:
    workers = workers_for(interaction, latency, ratio, rule)
    records = timing(latency, ratio, interaction, workers, ticks, seed)
    delays = _delays(records)
    expected = expected_position(WORLDS[world], delays)
    aim = int(expected.argmax())  # the state, counted from the one seen, in which the world most probably is
    reward = rewards(WORLDS[world], records, aim, ticks, seed)
    inaction = float(records["is_default"].mean())
    return Measured(
        latency,
        ratio,
        interaction,
        rule,
        world,
        seed,
        workers,
        inaction,
        float(delays.mean()),
        float(delays.std()),
        (BEST - float(reward.mean())) * RATE_HZ,
        (BEST - (1 - inaction) * float(expected[aim])) * RATE_HZ,
        bound(world, latency, ratio, interaction),
    )


def rewards(world: World, records: np.ndarray, aim: int, ticks: int, seed: int) -> np.ndarray:
    """Of each tick in `records`, float64: 1 where the action in force was for the state that the world was in.

    Args: aim: how many states further than the one it sees the policy expects the world to be. ticks: of the whole run.
    """
    states = len(world.position(0))
    walk = np.concatenate([[0], np.cumsum(world.moves(np.random.default_rng((seed, 1)), ticks))])
    gone = walk[records["tick"] - 1] - walk[np.maximum(records["obs_tick"], 0)]  # since the observation
    return np.where(records["is_default"], 0.0, BEST * ((gone - aim) % states == 0))


@functools.lru_cache(maxsize=4)  # serves all worlds
def timing(latency: str, ratio: float, interaction: str, workers: int, ticks: int, seed: int) -> np.ndarray:
    """Which observation each tick's action came from, or that β acted: TICK [what counts of the ticks]."""
    quantile = LATENCIES[latency].ticks
    tau = Latency(
        lambda rng, number: (float(quantile(ratio, rng.random())), True), ratio, lambda q: float(quantile(ratio, q))
    )
    played = play(interaction, Counter(rate_hz=RATE_HZ), tau, workers=workers, ticks=ticks, seed=seed)
    return played.records[int(SETTLE * ticks) :]


def bound(world: str, latency: str, ratio: float, interaction: str) -> float:
    """Theorem 1's inaction and delay regret a second, with τ_I of Remark 1 or of Remark 2 (no inaction)."""
    tau_theta = inference_times(latency, ratio)
    mean = float(tau_theta.mean())
    tau_i = theory.sequential_interaction_time(mean, TAU_M) if interaction == "sequential" else TAU_M
    states = np.inf if WORLDS[world].p == 1 else STATES
    return theory.inaction_regret(1.0, tau_i, TAU_M, r_max=BEST) + theory.delay_regret(
        1.0, tau_i, tau_theta, TAU_M, WORLDS[world].p, r_max=BEST, states=states, free_ticks=1
    )


def workers_for(interaction: str, latency: str, ratio: float, rule: str = "own") -> int:
    """N_I* of each: from Remark 2 for the paper's algorithms, ours for tickets. Rule equal: that of a warm Algorithm 1."""
    tau_theta = inference_times(latency, ratio)
    longest = theory.n_i_star(float(LATENCIES[latency].ticks(ratio, np.float64(1.0))), 1.0)
    if rule == "equal":
        return longest
    return {
        "sequential": lambda: 1,
        "max_time": lambda: longest,
        "max_time_warm": lambda: longest,
        "expected_time": lambda: theory.n_i_star(float(tau_theta.mean()), TAU_M),
        "ticket": lambda: theory.n_i_star_ticket(tau_theta, TAU_M),
    }[interaction]()


def inference_times(latency: str, ratio: float) -> np.ndarray:
    """τ_θ in seconds, evenly over its distribution: float64 [SAMPLES]."""
    return LATENCIES[latency].ticks(ratio, (np.arange(SAMPLES) + 0.5) / SAMPLES) * TAU_M


def expected_position(world: World, delays: np.ndarray) -> np.ndarray:
    """Probability of each state, counted from the one seen, over delays in ticks. A delay of 1 tick is 0 steps."""
    length, count = np.unique(delays, return_counts=True)
    return sum(n * world.position(int(ticks) - 1) for ticks, n in zip(length, count, strict=True)) / count.sum()


def _delays(records: np.ndarray) -> np.ndarray:
    acting = records[~records["is_default"]]
    return acting["tick"] - acting["obs_tick"]
