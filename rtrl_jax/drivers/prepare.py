"""Before a run's processes start: looking at the environment, sizing the network, choosing N, filling the board."""

import math
import pathlib

import jax
import numpy as np
import psutil

from rtrl_jax import environments
from rtrl_jax.agents import parts
from rtrl_jax.board import segment, snapshots
from rtrl_jax.board.layout import Board, size
from rtrl_jax.board.records import TICK
from rtrl_jax.drivers import device
from rtrl_jax.drivers.assembly import Assembly
from rtrl_jax.errors import UserError
from rtrl_jax.settings import LEAST_CAPACITY, Settings
from rtrl_jax.workers.learning import NOT_BEGUN

STARTUP_TIMEOUT_S = 600.0  # compiling the largest network included
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

    device.find(settings.device)
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


def choose_plan(settings: Settings, spec: environments.Spec, network: str, width: float) -> tuple:
    """How the network will convolve, for every process of the run.

    Returns:
      (plan or None, shapes of what it adds to a snapshot).
    """
    from rtrl_jax import networks
    from rtrl_jax.networks import fast, parameters

    *shape, channels = spec.observation_shape
    observation_shape = (*shape, channels * settings.frame_stack)
    module = networks.build(network, spec.actions, width, parts.choose(settings).heads())
    plan = None
    if settings.fast and settings.device == device.IN_PLACE:
        plan = fast.choose(module, observation_shape, settings.batch_size, settings.inference_dtype)
    if settings.inference_dtype != "float32" and (plan is None or not plan.prepared):
        raise UserError(
            f"--inference_dtype={settings.inference_dtype} is for Winograd convolutions, of which this network has none: "
            "leave it at float32"
        )
    if plan is None:
        return None, []
    tree = parameters.shapes(module, observation_shape, spec.observation_dtype)
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
    return descriptor, where, begin_board(assembly, training, segment.attach(descriptor))


def begin_board(assembly: Assembly, training: tuple[list, list], memory) -> Board:
    """A board in memory that is all zeros, with version 0 of the parameters on it."""
    board = Board(assembly.dimensions, memory)
    board.latest[0] = -1
    board.due_tick[0], board.saved_tick[0] = NOT_BEGUN, -1
    commit(board, assembly, *training, version=0, target=True)
    return board


def commit(board: Board, assembly: Assembly, initial, optimiser, *, version: int, target: bool) -> None:
    """Puts a training state on the board, before the start."""
    learns = bool(assembly.dimensions.learners)
    if not learns:
        board.latest[0] = -1  # there is one slot, and nobody reads it yet
    prepared = _prepared(assembly, initial)
    publisher = snapshots.Publisher(
        board, assembly.leaves, assembly.optimiser_leaves if learns else (), assembly.prepared_leaves
    )
    moment = {"target": target and learns, "prepared": prepared}
    if not publisher.publish(initial, version, optimiser if learns else (), **moment):
        raise RuntimeError("no snapshot slot is free before the start")


def _prepared(assembly: Assembly, initial) -> list:
    if assembly.plan is None:
        return []
    from rtrl_jax.drivers import brain
    from rtrl_jax.networks import fast

    tree = jax.tree.unflatten(brain.structure(assembly), initial)
    return fast.prepare(fast.kernels(tree, fast.Plan(*assembly.plan)), fast.Plan(*assembly.plan))


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
