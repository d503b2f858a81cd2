"""Before a run's processes start: looking at the environment, sizing the network, choosing N, filling the board."""

import dataclasses
import math
import os
import pathlib
import tempfile
import time

import numpy as np

from rtrl_jax import environments, latency
from rtrl_jax.board import segment, snapshots
from rtrl_jax.board.layout import Board, size
from rtrl_jax.drivers import message as messages
from rtrl_jax.drivers.assembly import Assembly, assemble
from rtrl_jax.drivers.process import Child
from rtrl_jax.errors import UserError
from rtrl_jax.settings import LEAST_CAPACITY, Settings

STARTUP_TIMEOUT_S = 600.0  # compiling the largest network included
EMULATED_DRAWS = 2000
WHOLE_TICK = 0.05  # of a tick: N* is not raised for less than that


def look_at(settings: Settings) -> environments.Spec:
    """The environment's spec. Raises UserError if there is no such environment or it cannot be used."""
    environment = environments.make(
        settings.environment, rate_hz=settings.rate_hz, default_action_index=settings.default_action_index
    )
    environment.close()
    return environment.spec


def size_network(settings: Settings, spec: environments.Spec):
    """Returns (name, width, tree of parameter shapes). Raises UserError if the network does not fit the observations."""
    from rtrl_jax import networks
    from rtrl_jax.networks import parameters

    name = settings.network
    if name == "auto":
        name = "resnet15" if spec.is_image else "mlp"
    if (name == "mlp") == spec.is_image:
        kind = "images" if spec.is_image else "vectors"
        raise UserError(f"--network={name} does not take the {kind} of {settings.environment}: leave it at auto")
    *shape, channels = spec.observation_shape
    observation = ((*shape, channels * settings.frame_stack), spec.observation_dtype)
    width = settings.width or 1.0
    if settings.parameters is not None:
        try:
            wanted = parameters.parse_count(str(settings.parameters))
        except ValueError:
            raise UserError(f"--parameters={settings.parameters}: give a number such as 1M, 10M or 1B") from None
        width = parameters.width_for(wanted, name, spec.actions, *observation)
    return name, width, parameters.shapes(networks.build(name, spec.actions, width), *observation)


def fill_board(assembly: Assembly, initial, folder: pathlib.Path) -> tuple[int, str, Board]:
    """Creates the board with version 0 of the parameters on it. Returns (file descriptor, where it lies, board)."""
    descriptor, where = segment.create(size(assembly.dimensions), folder)
    board = Board(assembly.dimensions, segment.attach(descriptor))
    board.latest[0] = -1
    snapshots.Publisher(board, assembly.leaves).publish(initial, version=0)
    return descriptor, where, board


def enough_workers(settings: Settings, spec: environments.Spec, network: str, width: float, shapes, initial) -> int:
    """N*: measures the inference time in a process of its own and takes the number its stagger algorithm needs."""
    alone = dataclasses.replace(
        settings, inference_workers="1", workers_per_process=1, learner_workers=0, replay_capacity=LEAST_CAPACITY
    )
    assembly = assemble(alone, spec, network, width, shapes, inference_workers=1)
    with tempfile.TemporaryDirectory() as folder:
        descriptor, _, board = fill_board(assembly, initial, pathlib.Path(folder))
        place = next(process for process in assembly.processes if process.workers)
        child = Child(
            place, messages.write(assembly, place, descriptor, 0), descriptor, pathlib.Path(folder, "measure.log")
        )
        try:
            deadline = time.monotonic() + STARTUP_TIMEOUT_S
            while not board.ready[place.number]:
                if child.exit_status() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"measuring the inference time failed: {child.output()}")
                time.sleep(0.01)
        finally:
            child.kill()
            child.wait(5)
            os.close(descriptor)
    tau_ns = board.warm_up_ns[0]
    if settings.emulated_inference_ms is not None:  # known better than a few draws from it tell
        draw, rng = latency.parse(str(settings.emulated_inference_ms)), np.random.default_rng(settings.seed)
        tau_ns = np.array([1e6 * draw(rng) for _ in range(EMULATED_DRAWS)])
    return n_star(settings, tau_ns * spec.rate_hz / 1e9)


def n_star(settings: Settings, tau_ticks: np.ndarray) -> int:
    """N_I* for measured inference times in ticks (paper Remark 2; E⌈τ/τ_M⌉ for tickets, see stagger.ticket)."""
    if settings.interaction != "async":
        return 1
    if settings.stagger == "max_time":
        needed = float(np.quantile(tau_ticks, settings.stagger_quantile or 1.0))
    elif settings.stagger == "ticket":
        needed = float(np.ceil(tau_ticks).mean())
    else:
        needed = float(tau_ticks.mean())
    return max(1, math.ceil(needed - WHOLE_TICK))
