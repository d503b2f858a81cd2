"""The stagger algorithms by name: the one place that knows them all.

A new algorithm is an entry in `ALGORITHMS`. What flags offer, a planner counts and a picture calls it comes from here.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rtrl_jax import theory
from rtrl_jax.stagger.bounded import Bounded
from rtrl_jax.stagger.expected_time import ExpectedTime
from rtrl_jax.stagger.free import Free
from rtrl_jax.stagger.max_time import MaxTime
from rtrl_jax.stagger.ticket import Ticket

WHOLE_WORKER = 0.05  # of a worker: tickets do not ask for one more for less


class Algorithm(NamedTuple):
    """What there is to know of a stagger algorithm."""

    name: str  # as --stagger takes it
    label: str  # as people read it
    hands_out_tickets: bool  # the environment process dispatches; otherwise the workers stagger themselves over a table
    n_star: Callable[..., int]  # (τ_θ/τ_M: float64 [samples], quantile=0.0) -> N_I*, at least 1
    make: Callable[
        ..., Any
    ]  # (table, quantile=0.0, tau_initial_s=None), or (workers, playout=, exploring_counts=, waits=, every=) -> state machine


def by_name(name: str) -> Algorithm:
    """The algorithm of that name. Raises ValueError if there is none."""
    if name not in ALGORITHMS:
        raise ValueError(f"there is no stagger algorithm {name!r}: one of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]


def label_of(name: str) -> str:
    """What people read in place of the name; the name itself where a run of another version had an algorithm that is not here."""
    return ALGORITHMS[name].label if name in ALGORITHMS else name


def make(name: str, table: np.ndarray, *, quantile: float = 0.0, tau_initial_s: float | None = None):
    """The algorithm `name` over a table of announcements, with the interface of `MaxTime`.

    Args:
      table: float64 [N, columns], see `announcements`. The estimate that is in it, after a resumption, is kept.
      quantile: for max_time, 0 for the paper's maximum, else the quantile of the bounded variant.
      tau_initial_s: an estimate in seconds to begin with, as if worker 0 had met it, which lays the phases of all out.
        Of several processes that share the table one may state it.

    Raises:
      ValueError: there is no such algorithm, or it hands out tickets.
    """
    algorithm = by_name(name)
    if algorithm.hands_out_tickets:
        raise ValueError(f"{name} hands out tickets and has no table: it is made by make_dispatcher")
    return algorithm.make(table, quantile, tau_initial_s)


def make_dispatcher(
    name: str,
    workers: int,
    *,
    playout: int | None = None,
    exploring_counts: bool = False,
    waits: bool = False,
    every: int = 1,
):
    """The algorithm `name` for the environment process, with the interface of `Ticket`.

    Args:
      playout: the delay D in ticks at which answers act; None: as long as they take; 0: each acts when it comes.
      exploring_counts: whether exploratory answers take the network's time.
      waits: whether a worker is occupied until its answer acts.
      every: of an episode's observations only each so many-th is handed out.

    Raises:
      ValueError: there is no such algorithm, or it hands out no tickets.
    """
    algorithm = by_name(name)
    if not algorithm.hands_out_tickets:
        raise ValueError(f"{name} hands out no tickets: it is made by make, over a table")
    return algorithm.make(workers, playout=playout, exploring_counts=exploring_counts, waits=waits, every=every)


def n_star(name: str, tau_ticks: np.ndarray, *, quantile: float = 0.0) -> int:
    """N_I*: the least number of workers from which on the algorithm `name` leaves β nothing to do (paper Remark 2).

    For all but tickets it is counted by mean rate, which is an action in every tick only if τ_θ does not vary
    (docs/semantics.md).

    Args:
      tau_ticks: samples of τ_θ/τ_M, float64 [samples].
      quantile: as of `make`.

    Raises:
      ValueError: there is no such algorithm, or a sample is negative or not finite.
    """
    return by_name(name).n_star(tau_ticks, quantile)


def _of_longest(tau_ticks: np.ndarray, quantile: float = 0.0) -> int:
    return theory.n_i_star(float(np.quantile(tau_ticks, quantile or 1.0)), 1.0)


def _of_mean(tau_ticks: np.ndarray, quantile: float = 0.0) -> int:
    return theory.n_i_star(float(np.mean(tau_ticks)), 1.0)


def _of_whole_ticks(tau_ticks: np.ndarray, quantile: float = 0.0) -> int:
    """E⌈τ⌉: a ticket is handed out at a boundary, and its worker has the next one at a boundary."""
    return max(1, math.ceil(float(np.mean(theory.ticks_of(tau_ticks, 1.0))) - WHOLE_WORKER))


def _over_table(create: Callable) -> Callable:
    """Args: create: (table, quantile) -> algorithm."""

    def make(table: np.ndarray, quantile: float = 0.0, tau_initial_s: float | None = None):
        algorithm = create(table, quantile)
        if tau_initial_s is not None and not table.any():
            algorithm.observe(0, tau_initial_s)
        return algorithm

    return make


def _max_time(table: np.ndarray, quantile: float):
    return Bounded(table, quantile) if quantile else MaxTime(table)


ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm("ticket", "tickets", True, _of_whole_ticks, Ticket),
        Algorithm("max_time", "Algorithm 1", False, _of_longest, _over_table(_max_time)),
        Algorithm("expected_time", "Algorithm 2", False, _of_mean, _over_table(lambda table, _: ExpectedTime(table))),
        Algorithm("none", "no staggering", False, _of_mean, _over_table(lambda table, _: Free(table))),
    )
}
NAMES = tuple(ALGORITHMS)
