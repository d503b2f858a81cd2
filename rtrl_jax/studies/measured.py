"""The parts of the scaling study that this machine answers: how long networks take, and N_I* by the wall clock.

What is too large to be measured here is extrapolated, by the planner's power law, and says so.
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from rtrl_jax.planning import planner
from rtrl_jax.studies.scaling import ALGORITHMS, ALLOWED, Outcome, Point, least

ENVIRONMENT = "gameboy/duel-catching"
SIZES = ("55K", "1M", "10M", "100M", "1B")
INFERRED, UPDATED = ("55K", "1M", "10M", "100M"), ("55K", "1M", "10M")  # measured; the others are extrapolated
BATCHES = (8, 16, 32)
LARGEST = 2  # sizes that are extrapolated from: smaller ones cost overheads, not work
WALL_S, MOST_WALL = 6.0, 2  # seconds of a run, and the most workers more than ⌈τ/τ_M⌉ that are tried
EMULATED_RATE_HZ = 50.0


class Time(NamedTuple):
    """How long an inference (batch_size 0) or an update of a network takes."""

    parameters: int
    flops: float  # of an inference
    batch_size: int
    ms: list[float]
    how: str  # measured or extrapolated
    note: str

    @property
    def mean_ticks(self) -> float:
        return float(np.mean(self.ticks()))

    def ticks(self) -> np.ndarray:
        """Samples in Game Boy ticks."""
        from rtrl_jax.studies.scaling import RATE_HZ

        return np.array(self.ms) * RATE_HZ / 1e3


def times(
    sizes=SIZES, inferred=INFERRED, updated=UPDATED, batches=BATCHES, say: Callable[[str], None] = lambda line: None
) -> list[Time]:
    """Inference and update times of the paper's ResNet at these sizes."""
    from rtrl_jax.core import model as models
    from rtrl_jax.core import preparation
    from rtrl_jax.planning import measured as planning
    from rtrl_jax.realtime import measure
    from rtrl_jax.settings import Settings

    base = Settings(environment=ENVIRONMENT, learner_workers="1", display="none")
    spec = preparation.probe(base)
    found = []
    for batch in (0, *batches):
        samples: list[Time] = []
        for name in sizes:
            settings = dataclasses.replace(base, parameters=name, batch_size=batch or 16)
            size = planning.size_of(models.choose(settings, spec))
            what = f"an update of batch {batch}" if batch else "an inference"
            if name in (updated if batch else inferred):
                say(f"measuring {what}, {name} parameters")
                take = measure.updates if batch else measure.inferences
                sample = take(size.model)
                ms = (sample.tau_ns / 1e6).tolist()
                samples.append(Time(size.count, size.flops, batch, ms, "measured", f"{len(ms)} on this machine"))
                found.append(samples[-1])
            else:
                law = planner.power_law([(time.flops, float(np.median(time.ms))) for time in samples[-LARGEST:]])
                largest = samples[-1]
                scale = law.at(size.flops) / float(np.median(largest.ms))
                ms = [value * scale for value in largest.ms]
                found.append(Time(size.count, size.flops, batch, ms, "extrapolated", str(law)))
    return found


def wall(
    algorithm: str, *, parameters: str | None = None, emulated_ticks: float | None = None, mean: Time | None = None
):
    """N_I* by real runs, which end before ε or learning come into it. Give a size and its `Time`, or ticks to emulate."""
    interaction, quantile = ALGORITHMS[algorithm]
    chosen = {"stagger": interaction, "stagger_quantile": quantile, "learner_workers": "0", "display": "none"}
    chosen |= {"epsilon_start": 0.0, "epsilon_end": 0.0, "duration_s": WALL_S, "checkpoint_every_s": 0.0}
    if emulated_ticks is not None:
        tau_ticks, name = emulated_ticks, "emulated"
        chosen |= {
            "environment": "toy/Inaction-v0",
            "emulated_inference_ms": f"{emulated_ticks * 1e3 / EMULATED_RATE_HZ:.4f}",
        }
    else:
        tau_ticks, name = mean.mean_ticks, "wall clock"
        chosen |= {"environment": ENVIRONMENT, "parameters": parameters}

    @cache
    def run(workers: int) -> Outcome:
        import rtrl_jax

        together = workers if emulated_ticks is not None else 1
        with tempfile.TemporaryDirectory() as folder:
            rtrl_jax.run(
                **chosen,
                inference_workers=str(workers),
                workers_per_process=together,
                run_dir=str(pathlib.Path(folder, "run")),
            )
            with np.load(pathlib.Path(folder, "run", "ticks.npz")) as ticks:
                half = len(ticks["tick"]) // 2
                counted = {field: ticks[field][half:] for field in ("tick", "obs_tick", "is_default", "boundary_ns")}
            with np.load(pathlib.Path(folder, "run", "decisions.npz")) as decisions:
                answers = int((decisions["registered_ns"] >= counted["boundary_ns"][0]).sum())
        acting = ~counted["is_default"]
        delay = float((counted["tick"] - counted["obs_tick"])[acting].mean()) if acting.any() else None
        return Outcome(float(counted["is_default"].mean()), answers / len(acting), delay)

    ceil = max(1, int(np.ceil(tau_ticks)))
    most = ceil + MOST_WALL
    by_inaction = least(lambda n: run(n).inaction < ALLOWED, ceil, most)
    by_rate = least(lambda n: run(n).rate >= 1 - ALLOWED, ceil, most)
    found = run(by_inaction) if by_inaction else None
    return Point(
        tau_ticks,
        mean.parameters if mean else None,
        algorithm,
        0.0,
        "constant" if mean is None else "measured",
        by_inaction,
        by_rate,
        ceil,
        ceil,
        found and found.inaction,
        run(by_rate).inaction if by_rate else None,
        found and found.delay,
        most,
        name,
    )
