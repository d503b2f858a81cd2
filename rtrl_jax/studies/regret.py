"""Measures regret a second, in worlds where it is known, for each way of interacting: Theorem 1 against the real loops.

The policy is the best there is, so nothing is lost to learning, and what is left is inaction and delay. It is the best
of those that map an observation to an action: it knows how the delays of its way of interacting are distributed, as an agent
that learns in the delayed semi-MDP comes to know, but not what the delay of the next action will be.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rtrl_jax import environments, theory
from rtrl_jax.environments.toy import RATE_HZ, STATES
from rtrl_jax.statistics import half_width
from rtrl_jax.virtual_time.simulate import simulate

TAU_M = 1 / RATE_HZ
BEST = 1.0  # reward a tick
RATIOS = (1, 2, 4, 8, 16, 32)  # mean τ_θ/τ_M
INTERACTIONS = ("sequential", "max_time", "expected_time", "ticket")
FITS = 0.999  # of a tick: so that an inference of n ticks is over just before, not just after, the nth boundary
SETTLE = 0.25  # of the ticks, left out: the rates are those in the long run, and staggering takes time to settle
SAMPLES = 4096


class World(NamedTuple):
    environment: str
    p: float  # p_minimax; 1 for a world in which delay costs nothing
    position: Callable[[int], np.ndarray]  # steps -> probability of each state, counted from the one seen


WORLDS = {
    "inaction": World("toy/Inaction-v0", 1.0, lambda k: np.ones(1)),
    "delay-0.9": World("toy/delay-0.9", 0.9, functools.partial(theory.cycle_position, 0.9, states=STATES)),
    "chain-1": World("toy/chain-1", 1.0, functools.partial(theory.chain_position, 1.0, states=STATES)),
    "chain-0.9": World("toy/chain-0.9", 0.9, functools.partial(theory.chain_position, 0.9, states=STATES)),
}
# Inference times as quantile functions of their mean: constant, and anything between a half and three halves of it.
LATENCIES = {
    "constant": lambda mean, u: mean * FITS + 0 * u,
    "uniform": lambda mean, u: mean * FITS * (0.5 + u),
}


class Measured(NamedTuple):
    """One run, or the figures of one setting. Regret is in units of reward a second, of which the most is `RATE_HZ`."""

    world: str
    latency: str
    ratio: float  # mean τ_θ/τ_M
    interaction: str
    workers: int
    seed: int
    inaction: float  # share of the ticks
    delay_mean: float  # ticks
    delay_sd: float
    regret: float
    predicted: float  # from the inaction and the delays of this very run, in closed form
    bound: float  # Theorem 1's, from τ_θ, τ_M and τ_I alone


def run(ticks: int, seeds: Sequence[int], ratios=RATIOS, worlds=tuple(WORLDS), progress=lambda text: None):
    """Measures everything. Returns a list of `Measured`, one for each latency, ratio, interaction, world and seed."""
    rows = []
    for latency, ratio, interaction in itertools.product(LATENCIES, ratios, INTERACTIONS):
        progress(f"{latency} inference of {ratio} ticks, {interaction}")
        delays = {seed: delays_of(latency, ratio, interaction, ticks, seed) for seed in seeds}
        for world, seed in itertools.product(worlds, seeds):
            aim = best_aim(WORLDS[world], delays[seed])
            rows.append(measure(world, latency, ratio, interaction, aim, ticks, seed))
    return rows


def measure(world: str, latency: str, ratio: float, interaction: str, aim: int, ticks: int, seed: int) -> Measured:
    """One run. Args: aim: how many states further than the one it sees the policy expects the world to be."""
    records = _play(WORLDS[world].environment, latency, ratio, interaction, aim, ticks, seed)
    delays = _delays(records)
    inaction = float(records["is_default"].mean())
    hit = expected_position(WORLDS[world], delays)[aim]
    return Measured(
        world,
        latency,
        ratio,
        interaction,
        workers_for(interaction, latency, ratio),
        seed,
        inaction,
        float(delays.mean()),
        float(delays.std()),
        (BEST - float(records["reward"].mean())) * RATE_HZ,
        (BEST - (1 - inaction) * hit) * RATE_HZ,
        bound(world, latency, ratio, interaction),
    )


def bound(world: str, latency: str, ratio: float, interaction: str) -> float:
    """Theorem 1's inaction and delay regret a second, with τ_I of Remark 1 or of Remark 2 (no inaction)."""
    tau_theta = inference_times(latency, ratio)
    mean = float(tau_theta.mean())
    tau_i = theory.sequential_interaction_time(mean, TAU_M) if interaction == "sequential" else TAU_M
    states = np.inf if WORLDS[world].p == 1 else STATES
    return theory.inaction_regret(1.0, tau_i, TAU_M, r_max=BEST) + theory.delay_regret(
        1.0, tau_i, tau_theta, TAU_M, WORLDS[world].p, r_max=BEST, states=states, free_ticks=1
    )


def workers_for(interaction: str, latency: str, ratio: float) -> int:
    """N_I* of each: from Remark 2 for the paper's algorithms, ours for tickets."""
    tau_theta = inference_times(latency, ratio)
    return {
        "sequential": lambda: 1,
        "max_time": lambda: theory.n_i_star(float(LATENCIES[latency](ratio * TAU_M, 1.0)), TAU_M),
        "expected_time": lambda: theory.n_i_star(float(tau_theta.mean()), TAU_M),
        "ticket": lambda: theory.n_i_star_ticket(tau_theta, TAU_M),
    }[interaction]()


def inference_times(latency: str, ratio: float) -> np.ndarray:
    """τ_θ in seconds, evenly over its distribution: float64 [SAMPLES]."""
    return LATENCIES[latency](ratio * TAU_M, (np.arange(SAMPLES) + 0.5) / SAMPLES)


def delays_of(latency: str, ratio: float, interaction: str, ticks: int, seed: int) -> np.ndarray:
    """Delays in ticks of the actions that acted. They depend on the seed, but on no world and on no action."""
    return _delays(_play("toy/Inaction-v0", latency, ratio, interaction, 0, ticks, seed))


def best_aim(world: World, delays: np.ndarray) -> int:
    """The state, counted from the one seen, in which the world most probably is when the action acts."""
    return int(expected_position(world, delays).argmax())


def expected_position(world: World, delays: np.ndarray) -> np.ndarray:
    """Probability of each state, counted from the one seen, over delays in ticks. A delay of 1 tick is 0 steps."""
    length, count = np.unique(delays, return_counts=True)
    return sum(n * world.position(int(ticks) - 1) for ticks, n in zip(length, count, strict=True)) / count.sum()


def summarise(rows: list[Measured]) -> list[dict]:
    """Means over seeds, with the half width of the 95 % interval (Student's t) of the regret; None for one seed."""
    table = []
    for _, group in itertools.groupby(rows, key=lambda row: row[: Measured._fields.index("seed")]):
        group = list(group)
        regrets = np.array([row.regret for row in group])
        first = group[0]._asdict()
        means = {name: float(np.mean([getattr(row, name) for row in group])) for name in Measured._fields[6:]}
        table.append({**first, **means, "seeds": len(group), "half_width": half_width(regrets)})
        del table[-1]["seed"]
    return table


@functools.lru_cache(maxsize=32)  # `delays_of` and the Inaction world are the same runs
def _play(name: str, latency: str, ratio: float, interaction: str, aim: int, ticks: int, seed: int) -> np.ndarray:
    environment = environments.make(name)
    states, quantile = environment.spec.observation_shape[0], LATENCIES[latency]
    try:
        records = simulate(
            environment,
            lambda observation: 1 + (int(observation.argmax()) + aim) % states,
            lambda rng, number: (float(quantile(ratio, rng.random())), True),
            interaction=interaction,
            workers=workers_for(interaction, latency, ratio),
            ticks=ticks,
            seed=seed,
        ).records
    finally:
        environment.close()
    return records[int(SETTLE * ticks) :]


def _delays(records: np.ndarray) -> np.ndarray:
    acting = records[~records["is_default"]]
    return acting["tick"] - acting["obs_tick"]
