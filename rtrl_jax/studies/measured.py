"""How long the paper's networks take on this machine, as a table: the scaling study plays what is in it.

What is too large to be measured here is extrapolated, by the planner's power law, and says so.
"""

import csv
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rtrl_jax.errors import UserError
from rtrl_jax.studies import latencies
from rtrl_jax.studies.latencies import Latency
from rtrl_jax.studies.scaling import RATE_HZ

SIZES = ("55K", "1M", "10M", "100M", "1B")  # the paper's, k = 1/16 … 98
INFERRED, UPDATED = ("55K", "1M", "10M", "100M"), ("55K", "1M", "10M")  # measured; the others are extrapolated
BATCHES = (8, 16, 32)
LARGEST = 2  # sizes that are extrapolated from: smaller ones cost overheads, not work
ENVIRONMENT = "gameboy/duel-catching"


class Time(NamedTuple):
    """One inference (batch_size 0) or update of a network."""

    size: str  # of `SIZES`
    parameters: int
    flops: float  # of an inference
    batch_size: int
    number: int  # of the sample
    ms: float
    how: str  # measured or extrapolated
    note: str

    KEY = 5


def times(
    sizes: Sequence[str] = SIZES,
    inferred: Sequence[str] = INFERRED,
    updated: Sequence[str] = UPDATED,
    batches: Sequence[int] = BATCHES,
    say: Callable[[str], None] = lambda line: None,
) -> list[Time]:
    """Inference and update times of the paper's ResNet at these sizes, by a real process, alone on its core."""
    from rtrl_jax.core import model as models
    from rtrl_jax.core import preparation
    from rtrl_jax.planning import measured as planning
    from rtrl_jax.planning import planner
    from rtrl_jax.realtime import measure
    from rtrl_jax.settings import Settings

    base = Settings(environment=ENVIRONMENT, learner_workers="1", display="none")
    spec = preparation.probe(base)
    found = []
    for batch in (0, *batches):
        medians: list[tuple[float, float]] = []  # (flops, ms) of what was measured
        for name in sizes:
            chosen = models.choose(
                Settings(**{**base.__dict__, "parameters": name, "batch_size": batch or base.batch_size}), spec
            )
            size = planning.size_of(chosen)
            if name in (updated if batch else inferred):
                say(f"measuring {f'an update of batch {batch}' if batch else 'an inference'}, {name} parameters")
                ms = (measure.updates if batch else measure.inferences)(size.model).tau_ns / 1e6
                medians.append((size.flops, float(np.median(ms))))
                how, note = "measured", ""
            else:
                law = planner.power_law(medians[-LARGEST:])
                ms, how, note = [law.at(size.flops)], "extrapolated", str(law)
            found += [
                Time(name, size.count, size.flops, batch, number, float(value), how, note)
                for number, value in enumerate(ms)
            ]
    return found


def read(path: pathlib.Path) -> list[Time]:
    """The table of `times`. Raises UserError."""
    try:
        with open(path, newline="") as file:
            found = [
                Time(
                    r["size"],
                    int(r["parameters"]),
                    float(r["flops"]),
                    int(r["batch_size"]),
                    int(r["number"]),
                    float(r["ms"]),
                    r["how"],
                    r["note"],
                )
                for r in csv.DictReader(file)
            ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path} is no table of network times ({error}): measure them, --parts=times") from None
    if not found:
        raise UserError(f"{path} has no rows: measure them, --parts=times")
    return found


def inferences(times: list[Time]) -> dict[int, Latency]:
    """By number of parameters."""
    return {p: latencies.sampled(ticks) for (p, batch), ticks in _ticks(times).items() if not batch}


def updates(times: list[Time]) -> dict[tuple[int, int], Latency]:
    """By number of parameters and batch size."""
    return {key: latencies.sampled(ticks) for key, ticks in _ticks(times).items() if key[1]}


def largest(times: list[Time]) -> np.ndarray:
    """Inference times in ticks of the largest network that was measured: float64 [samples]."""
    mine = [time for time in times if not time.batch_size and time.how == "measured"]
    return _ticks(mine)[max(time.parameters for time in mine), 0]


def _ticks(times: list[Time]) -> dict[tuple[int, int], np.ndarray]:
    """Of the Game Boy, by number of parameters and batch size."""
    found: dict[tuple[int, int], list[float]] = {}
    for time in times:
        found.setdefault((time.parameters, time.batch_size), []).append(time.ms * RATE_HZ / 1e3)
    return {key: np.array(ticks) for key, ticks in found.items()}
