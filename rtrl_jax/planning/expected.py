"""What inaction and delay to expect of so many workers with such inference times: the real loops in virtual time."""

import numpy as np

from rtrl_jax import environments
from rtrl_jax.stagger.ticket import LONGEST
from rtrl_jax.virtual_time.simulate import simulate

LEAST_TICKS, CYCLES = 2000, 12
SETTLE = 0.5  # of the ticks, left out: staggering takes time


def inaction_and_delays(interaction: str, workers: int, tau_ticks: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Returns (share of the ticks left to β, delays in ticks of the actions that acted).

    None where inference takes longer than anything the loops can count. The same result for the same arguments.

    Args:
      interaction: see `virtual_time.simulate.INTERACTIONS`.
      tau_ticks: inference times in ticks, of which each inference draws one.
    """
    longest = float(tau_ticks.max())
    if longest > LONGEST:
        return None
    environment = environments.make("toy/Inaction-v0")
    try:
        records = simulate(
            environment,
            lambda observation: 1,
            lambda rng, number: (float(tau_ticks[rng.integers(len(tau_ticks))]), True),
            interaction=interaction,
            workers=workers,
            ticks=max(LEAST_TICKS, round(CYCLES * longest)),
            seed=0,
        ).records
    finally:
        environment.close()
    records = records[int(SETTLE * len(records)) :]
    acting = records[~records["is_default"]]
    return float(records["is_default"].mean()), acting["tick"] - acting["obs_tick"]
