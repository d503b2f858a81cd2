"""The studies' simulation as tests want it: a counter to play in ticks of one second, and the run's statistics as well."""

import numpy as np

from rtrl_jax.board.layout import UPDATE
from rtrl_jax.studies import simulate as studies
from rtrl_jax.studies.latencies import constant, exploring, gamma, normal, outliers
from rtrl_jax.studies.simulate import Counter, private_board
from rtrl_jax.telemetry.summary import statistics

__all__ = ["Counter", "constant", "exploring", "gamma", "normal", "outliers", "private_board", "simulate"]


def simulate(algorithm: str, workers: int, tau, *, ticks=20_000, episode_length=None, dead=None, **options):
    """Returns (statistics, tick records, decision records). Args: dead: (worker, tick) at which it stops for good."""

    def watch(board, tick):
        if dead and tick >= dead[1]:
            board.idle[dead[0]] = 0

    world = Counter(episode_length)
    played = studies.simulate(
        world, lambda frame: 0, tau, interaction=algorithm, workers=workers, ticks=ticks, watch=watch, **options
    )
    return statistics(*played, np.empty(0, UPDATE)), *played
