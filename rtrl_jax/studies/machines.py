"""N_I* where workers are on several machines with a network between, in virtual time: how far Figure 7 holds past one machine.

A worker that is not on the environment's machine is occupied by its inference and by the message there and back, and its answer
is as much later. Inference times and the network's are distributions, drawn anew for each inference; workers are spread evenly.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from rtrl_jax import latency
from rtrl_jax.studies import latencies
from rtrl_jax.studies.latencies import Latency
from rtrl_jax.studies.rows import Task
from rtrl_jax.studies.scaling import FITS, RATE_HZ, SEEDS, find

PLACES = ((2, 72), (5, 150), (10, 300), (20, 600))  # machines, and workers of all of them where nothing varies
CV = 0.05  # of inference times
ALGORITHMS = ("ticket", "bounded")  # Algorithm 1 as it is never forgets an outlier


class Row(NamedTuple):
    """One number of machines and its N_I*, on one machine and on all of them, with one seed."""

    machines: int
    stated_ticks: float  # mean time of the network's inference, in ticks
    algorithm: str
    network_ms: str  # there and back, as stated
    seed: int
    workers_on_one: int | None
    workers: int | None
    delay_on_one: float | None  # mean, in ticks
    delay: float | None
    inaction: float | None  # with `workers`

    KEY = 5


def over_a_network(tau: Latency, network_ms: str, machines: int) -> Latency:
    """Inference times as the environment meets them. Args: network_ms: one of `latency.FORMS`."""
    draw = latency.parse(network_ms, "network_ms")

    def met(rng, number):
        ticks, greedy = tau(rng, number)
        is_elsewhere = rng.random() * machines >= 1
        return ticks + (draw(rng) * RATE_HZ / 1e3 if is_elsewhere else 0.0), greedy

    return tau._replace(draw=met)


def tasks(network_ms: str, seeds: Sequence[int] = SEEDS, places: Iterable[tuple[int, int]] = PLACES) -> list[Task]:
    """What there is to find, with the first seed before the second. Args: places: machines, and workers where nothing varies."""
    settings = [
        (machines, workers * FITS, algorithm, network_ms) for machines, workers in places for algorithm in ALGORITHMS
    ]
    return [Task((*setting, seed), partial(_row, *setting, seed)) for seed in seeds for setting in settings]


def _row(machines: int, mean: float, algorithm: str, network_ms: str, seed: int) -> Row:
    tau = latencies.normal(mean, CV * mean)
    options = {"epsilon": 0.0, "latency": "normal", "stated_ticks": mean, "seed": seed}
    one = find(algorithm, tau, **options)
    all_of_them = find(algorithm, over_a_network(tau, network_ms, machines), **options)
    return Row(
        machines,
        mean,
        algorithm,
        network_ms,
        seed,
        one.workers_by_inaction,
        all_of_them.workers_by_inaction,
        one.delay,
        all_of_them.delay,
        all_of_them.inaction,
    )
