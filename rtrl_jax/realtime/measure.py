"""How long an inference and an update take on this machine, measured by a real process of a run, alone on its core."""

import dataclasses
import os
import pathlib
import tempfile
import time
from typing import NamedTuple

import numpy as np

from rtrl_jax import latency
from rtrl_jax.board import segment
from rtrl_jax.board.layout import Board, size
from rtrl_jax.core.assembly import Assembly, Process, assemble, begin_board
from rtrl_jax.core.model import Model
from rtrl_jax.core.sizing import inference_workers_needed, learners_needed
from rtrl_jax.realtime import message as messages
from rtrl_jax.realtime.process import STARTUP_TIMEOUT_S, Child
from rtrl_jax.settings import LEAST_CAPACITY

EMULATED_DRAWS = 2000
INFERENCES, UPDATES = 256, 16  # samples taken, or as many as five seconds allow


class Sample(NamedTuple):
    tau_ns: np.ndarray  # float64 [samples]
    own_bytes: int  # the most memory the process had, without what it shares


def inferences(model: Model) -> Sample:
    """Inference times after warm-up."""
    return _sample(model, "inference sampler", INFERENCES)


def updates(model: Model) -> Sample:
    """Times of updates: gradient and optimiser, without drawing the batch and publishing."""
    return _sample(model, "update sampler", UPDATES)


def enough_workers(model: Model) -> int:
    """N_I* of the inference time measured, or emulated."""
    if model.settings.emulated_inference_ms is not None:  # known better than a few draws from it tell
        draw = latency.parse(str(model.settings.emulated_inference_ms))
        rng = np.random.default_rng(model.settings.seed)
        tau_ns = np.array([1e6 * draw(rng) for _ in range(EMULATED_DRAWS)])
    else:
        tau_ns = inferences(model).tau_ns
    return inference_workers_needed(model.settings, tau_ns * model.spec.rate_hz / 1e9)


def enough_learners(model: Model) -> int:
    """N_L* of the time of an update measured; with --learn_per=decision for a decision in every tick, the most there can be."""
    tau_l_ticks = float(updates(model).tau_ns.mean()) * model.spec.rate_hz / 1e9
    return learners_needed(model.settings, tau_l_ticks)


def _sample(model: Model, role: str, samples: int) -> Sample:
    # On inference's core and at its niceness, a learner too: with enough cores it has one to itself.
    cores = model.settings.core_list()
    learner = 0 if role == "update sampler" else None
    sampler = Process(1, role, role, (cores[1:] or cores)[0], workers=(0,), learner=learner)
    alone = dataclasses.replace(model, settings=dataclasses.replace(model.settings, demonstrations=None))
    numbers = {"inference_workers": 1, "learner_workers": 1, "capacity": LEAST_CAPACITY}
    assembly = assemble(alone, [Process(0, "environment", "environment"), sampler], **numbers)
    dimensions = dataclasses.replace(assembly.dimensions, samples=samples)
    board = _run(dataclasses.replace(assembly, dimensions=dimensions), sampler)
    return Sample(board.sample_ns[board.sample_ns > 0].copy(), int(board.own_bytes[0]))


def _run(assembly: Assembly, sampler: Process) -> Board:
    """Starts the process, which measures itself before it is ready. Returns the board it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        descriptor, _ = segment.create(size(assembly.dimensions), pathlib.Path(folder))
        board = begin_board(assembly, assembly.model.first_state(), segment.attach(descriptor))
        text, log = messages.write(assembly, sampler, descriptor), pathlib.Path(folder, "measure.log")
        child = Child(sampler, text, (descriptor,), log)
        try:
            deadline = time.monotonic() + STARTUP_TIMEOUT_S
            while not board.ready[sampler.number]:
                if child.exit_status() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"measuring how long the {sampler.name} takes failed: {child.output()}")
                time.sleep(0.01)
        finally:
            child.kill()
            child.wait(5)
            os.close(descriptor)
    return board
