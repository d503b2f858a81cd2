"""How long an inference and an update take on this machine, measured by a real process of a run, alone on its core."""

import dataclasses
import math
import os
import pathlib
import tempfile
import time
from typing import NamedTuple

import numpy as np

from rtrl_jax import environments, latency
from rtrl_jax.board.layout import Board
from rtrl_jax.drivers import message as messages
from rtrl_jax.drivers.assembly import Assembly, assemble
from rtrl_jax.drivers.prepare import STARTUP_TIMEOUT_S, WHOLE_TICK, choose_plan, fill_board, n_star
from rtrl_jax.drivers.process import Child
from rtrl_jax.settings import LEAST_CAPACITY, Settings

EMULATED_DRAWS = 2000
INFERENCES, UPDATES = 256, 16  # samples taken, or as many as five seconds allow


class Sample(NamedTuple):
    tau_ns: np.ndarray  # float64 [samples]
    own_bytes: int  # the most memory the process had, without what it shares


def inferences(settings: Settings, spec: environments.Spec, network: str, width: float, training) -> Sample:
    """Inference times after warm-up. Args: as of `assembly.assemble`."""
    return _sample(settings, spec, network, width, training, "inference", learners=0, samples=INFERENCES)


def updates(settings: Settings, spec: environments.Spec, network: str, width: float, training) -> Sample:
    """Times of updates: gradient and descent, without drawing the batch and publishing."""
    return _sample(settings, spec, network, width, training, "learner", learners=1, samples=UPDATES)


def enough_workers(settings: Settings, spec: environments.Spec, network: str, width: float, training) -> int:
    """N_I*: measures the inference time in a process of its own and takes the number its stagger algorithm needs."""
    assembly = _alone(settings, spec, network, width, training, learners=0)
    _, board = _get_ready(assembly, "inference", training)
    tau_ns = board.warm_up_ns[0]
    if settings.emulated_inference_ms is not None:  # known better than a few draws from it tell
        draw, rng = latency.parse(str(settings.emulated_inference_ms)), np.random.default_rng(settings.seed)
        tau_ns = np.array([1e6 * draw(rng) for _ in range(EMULATED_DRAWS)])
    return n_star(settings, tau_ns * spec.rate_hz / 1e9)


def enough_learners(settings: Settings, spec: environments.Spec, network: str, width: float, training) -> int:
    """N_L*: measures an update in a process of its own; the least number of learners that keep up with --learn_every."""
    assembly = _alone(settings, spec, network, width, training, learners=1)
    place, board = _get_ready(assembly, "learner", training)
    tau_l_ticks = int(board.expected_ns[place]) * spec.rate_hz / 1e9
    return max(1, math.ceil(tau_l_ticks / settings.learn_every - WHOLE_TICK))


def _alone(settings, spec, network, width, training, learners: int) -> Assembly:
    alone = dataclasses.replace(settings, workers_per_process=1, interaction="async", demonstrations=None)
    return assemble(
        alone,
        spec,
        network,
        width,
        training,
        fast=choose_plan(alone, spec, network, width),
        inference_workers=1,
        learner_workers=learners,
        capacity=LEAST_CAPACITY,
    )


def _sample(settings, spec, network, width, training, role: str, *, learners: int, samples: int) -> Sample:
    assembly = _alone(settings, spec, network, width, training, learners)
    sampler = {"inference": "inference sampler", "learner": "update sampler"}
    # On inference's core and at its niceness, a learner too: with enough cores it has one to itself.
    core = next(process.core for process in assembly.processes if process.role == "inference")
    processes = tuple(
        dataclasses.replace(process, role=sampler[role], core=core, niceness=0) if process.role == role else process
        for process in assembly.processes
    )
    dimensions = dataclasses.replace(assembly.dimensions, samples=samples)
    assembly = dataclasses.replace(assembly, processes=processes, dimensions=dimensions)
    _, board = _get_ready(assembly, sampler[role], training)
    return Sample(board.sample_ns[board.sample_ns > 0].copy(), int(board.own_bytes[0]))


def _get_ready(assembly: Assembly, role: str, training) -> tuple[int, Board]:
    """Starts the first process of that role, which measures itself before it is ready. Returns (its number, the board)."""
    with tempfile.TemporaryDirectory() as folder:
        descriptor, _, board = fill_board(assembly, training, pathlib.Path(folder))
        place = next(process for process in assembly.processes if process.role == role)
        child = Child(
            place, messages.write(assembly, place, descriptor, 0), (descriptor,), pathlib.Path(folder, "measure.log")
        )
        try:
            deadline = time.monotonic() + STARTUP_TIMEOUT_S
            while not board.ready[place.number]:
                if child.exit_status() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"measuring how long the {role} takes failed: {child.output()}")
                time.sleep(0.01)
        finally:
            child.kill()
            child.wait(5)
            os.close(descriptor)
    return place.number, board
