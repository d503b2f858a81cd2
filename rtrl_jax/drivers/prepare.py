"""Before a run's processes start: looking at the environment, sizing the network, choosing N, filling the board."""

import dataclasses
import math
import os
import pathlib
import tempfile
import time

import jax
import numpy as np
import psutil

from rtrl_jax import environments, latency
from rtrl_jax.agents import parts
from rtrl_jax.board import segment, snapshots
from rtrl_jax.board.layout import TICK, Board, size
from rtrl_jax.drivers import message as messages
from rtrl_jax.drivers.assembly import Assembly, assemble
from rtrl_jax.drivers.process import Child
from rtrl_jax.errors import UserError
from rtrl_jax.settings import LEAST_CAPACITY, Settings
from rtrl_jax.workers.learning import NOT_BEGUN

STARTUP_TIMEOUT_S = 600.0  # compiling the largest network included
EMULATED_DRAWS = 2000
PAPER_CAPACITY, SHARE_OF_MEMORY = 1_000_000, 0.25  # observations kept, unless told otherwise
BRIM = 64  # a ring is never read at its brim
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
    heads = parts.choose(settings).heads()
    return name, width, parameters.shapes(networks.build(name, spec.actions, width, heads), *observation)


def choose_plan(settings: Settings, spec: environments.Spec, network: str, width: float, tree) -> tuple:
    """How the network will convolve, for every process of the run. Args: tree: of parameter shapes.

    Returns:
      (plan or None, shapes of what it adds to a snapshot).
    """
    from rtrl_jax import networks
    from rtrl_jax.networks import fast

    *shape, channels = spec.observation_shape
    module = networks.build(network, spec.actions, width, parts.choose(settings).heads())
    plan = fast.choose(module, (*shape, channels * settings.frame_stack)) if settings.fast else None
    if plan is None:
        return None, []
    return plan, jax.eval_shape(lambda kernels: fast.prepare(kernels, plan), fast.kernels(tree, plan))


def first_state(settings: Settings, spec: environments.Spec, tree) -> tuple[list, list]:
    """First values of the parameters and of the optimiser's state, as lists of leaves. Args: tree: of parameter shapes."""
    from rtrl_jax.agents.agent import make_optimiser
    from rtrl_jax.networks import parameters

    optimiser = make_optimiser(parts.learning_rate(settings, spec), settings.gradient_clip)
    state = jax.eval_shape(optimiser.init, tree)  # Adam begins with zeros
    return (
        jax.tree.leaves(parameters.initialise(tree, settings.seed)),
        [np.zeros(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(state)],
    )


def capacity(settings: Settings, spec: environments.Spec) -> int:
    """Observations to keep: what was asked for, else all that the run can make, within the paper's million and memory."""
    if settings.replay_capacity is not None:
        return settings.replay_capacity
    a_tick = math.prod(spec.observation_shape) * np.dtype(spec.observation_dtype).itemsize + TICK.itemsize
    most = min(PAPER_CAPACITY, int(psutil.virtual_memory().total * SHARE_OF_MEMORY / a_tick))
    ends = [settings.max_ticks, settings.duration_s and math.ceil(settings.duration_s * spec.rate_hz)]
    run = min((end for end in ends if end is not None), default=most)
    least = max(
        LEAST_CAPACITY, 2 * settings.learn_start, 2 * int(settings.playout) if str(settings.playout).isdecimal() else 0
    )
    return max(least, min(run + BRIM, most))


def fill_board(assembly: Assembly, training: tuple[list, list], folder: pathlib.Path) -> tuple[int, str, Board]:
    """Creates the board with version 0 of the parameters on it. Returns (file descriptor, where it lies, board)."""
    descriptor, where = segment.create(size(assembly.dimensions), folder)
    board = Board(assembly.dimensions, segment.attach(descriptor))
    board.latest[0] = -1
    board.due_tick[0], board.saved_tick[0] = NOT_BEGUN, -1
    commit(board, assembly, *training, version=0, target=True)
    return descriptor, where, board


def commit(board: Board, assembly: Assembly, initial, optimiser, *, version: int, target: bool) -> None:
    """Puts a training state on the board, before the start."""
    learns = bool(assembly.dimensions.learners)
    prepared = _prepared(assembly, initial)
    publisher = snapshots.Publisher(
        board, assembly.leaves, assembly.optimiser_leaves if learns else (), assembly.prepared_leaves
    )
    publisher.publish(initial, version, optimiser if learns else (), target=target and learns, prepared=prepared)


def _prepared(assembly: Assembly, initial) -> list:
    if assembly.plan is None:
        return []
    from rtrl_jax.drivers import brain
    from rtrl_jax.networks import fast

    tree = jax.tree.unflatten(brain.structure(assembly), initial)
    return fast.prepare(fast.kernels(tree, fast.Plan(*assembly.plan)), fast.Plan(*assembly.plan))


def enough_workers(settings: Settings, spec: environments.Spec, network: str, width: float, training, fast) -> int:
    """N_I*: measures the inference time in a process of its own and takes the number its stagger algorithm needs."""
    alone = dataclasses.replace(settings, workers_per_process=1, interaction="async")
    assembly = assemble(
        alone, spec, network, width, training, fast, inference_workers=1, learner_workers=0, capacity=LEAST_CAPACITY
    )
    _, board = _get_ready(assembly, "inference", training)
    tau_ns = board.warm_up_ns[0]
    if settings.emulated_inference_ms is not None:  # known better than a few draws from it tell
        draw, rng = latency.parse(str(settings.emulated_inference_ms)), np.random.default_rng(settings.seed)
        tau_ns = np.array([1e6 * draw(rng) for _ in range(EMULATED_DRAWS)])
    return n_star(settings, tau_ns * spec.rate_hz / 1e9)


def enough_learners(settings: Settings, spec: environments.Spec, network: str, width: float, training, fast) -> int:
    """N_L*: measures an update in a process of its own; the least number of learners that keep up with --learn_every."""
    alone = dataclasses.replace(settings, workers_per_process=1, interaction="async", demonstrations=None)
    assembly = assemble(
        alone, spec, network, width, training, fast, inference_workers=1, learner_workers=1, capacity=LEAST_CAPACITY
    )
    place, board = _get_ready(assembly, "learner", training)
    tau_l_ticks = int(board.expected_ns[place]) * spec.rate_hz / 1e9
    return max(1, math.ceil(tau_l_ticks / settings.learn_every - WHOLE_TICK))


def _get_ready(assembly: Assembly, role: str, training) -> tuple[int, Board]:
    """Starts the first process of that role, which measures itself while it warms up. Returns (its number, the board)."""
    with tempfile.TemporaryDirectory() as folder:
        descriptor, _, board = fill_board(assembly, training, pathlib.Path(folder))
        place = next(process for process in assembly.processes if process.role == role)
        child = Child(
            place, messages.write(assembly, place, descriptor, 0), descriptor, pathlib.Path(folder, "measure.log")
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
