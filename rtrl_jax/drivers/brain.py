"""The parts of a process that know JAX: the network that acts, the policy around it, the agent that learns.

Imported only by processes that need it, after they have taken their core.
"""

import os
import pathlib
import time
from functools import partial

import jax
import numpy as np

from rtrl_jax import networks
from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn
from rtrl_jax.agents.exploration import linear
from rtrl_jax.board import snapshots
from rtrl_jax.board.ring import Ring
from rtrl_jax.drivers.assembly import Assembly
from rtrl_jax.drivers.place import EXPLORATION, SAMPLING, Place
from rtrl_jax.drivers.wall import now_ns
from rtrl_jax.networks import parameters
from rtrl_jax.replay import demonstrations
from rtrl_jax.replay.transitions import TransitionBuilder
from rtrl_jax.replay.uniform import UniformReplay
from rtrl_jax.replay.union import UnionReplay
from rtrl_jax.workers.learning import Learning
from rtrl_jax.workers.policy import epsilon_greedy


def network(place: Place):
    """The reader of snapshots, and the compiled function from (parameters, observation) to an action."""
    configure_jax()
    module = networks.build(place.assembly.network, place.assembly.spec.actions, place.assembly.width)
    structure = jax.tree.structure(_shapes(place.assembly))

    def wrap(slot):
        views = snapshots.views(place.assembly.leaves, slot)
        arrays = [jax.device_put(view, may_alias=True) for view in views]
        aliased = all(a.unsafe_buffer_pointer() == v.ctypes.data for a, v in zip(arrays, views, strict=True))
        # An array that is a copy would never see an update; jit copies the views at each call instead.
        return jax.tree.unflatten(structure, arrays if aliased else views)

    reader = snapshots.Reader(place.board, place.process.number, wrap)
    return reader, jax.jit(dqn.make(module.apply).act)


def _shapes(assembly: Assembly):
    module = networks.build(assembly.network, assembly.spec.actions, assembly.width)
    return parameters.shapes(module, assembly.observation_shape, assembly.spec.observation_dtype)


def configure_jax() -> None:
    """Keeps compiled programs for the next process, and computes in the thread that asks."""
    folder = pathlib.Path(os.environ.get("RTRL_CACHE", pathlib.Path.home() / ".cache" / "rtrl_jax"))
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # a hand-over to another thread costs more than it hides


def policy(place: Place, reader: snapshots.Reader, act, worker: int):
    """The ε-greedy policy of one inference worker."""
    settings = place.assembly.settings
    # Without learning there are no updates for ε to fall over: it stands where it would end.
    start = settings.epsilon_start if settings.learner_workers else settings.epsilon_end
    return epsilon_greedy(
        place.observations,
        reader,
        act,
        linear(start, settings.epsilon_end, settings.epsilon_steps),
        actions=place.assembly.spec.actions,
        frame_stack=settings.frame_stack,
        rng=place.generator(EXPLORATION, worker),
    )


def _replay(place: Place):
    """Transitions of the run, and those of the demonstrations if there are any."""
    settings, spec = place.assembly.settings, place.assembly.spec

    def replay(observations):
        builder = TransitionBuilder(settings.gamma, per_tick=settings.discount_per == "tick")
        return UniformReplay(observations, builder, settings.frame_stack)

    if settings.demonstrations is None:
        return replay(place.observations)
    shown = demonstrations.read(pathlib.Path(settings.demonstrations), spec.observation_shape, spec.actions)
    return UnionReplay([replay(place.observations), replay(demonstrations.as_observations(shown, _delay(place)))])


def _delay(place: Place) -> int:
    """The delay in ticks that this run's agent will have, from the inference times its workers met while warming up."""
    settings, acting = place.assembly.settings, [p.number for p in place.assembly.processes if p.workers]
    if str(settings.playout).isdecimal():
        return int(settings.playout)
    while not (place.board.ready[acting].all() or place.process.number in acting):
        place.beat()
        time.sleep(0.01)
    longest = int(np.ceil(place.board.warm_up_ns.max() / place.tau_m_ns))
    # Without tickets an inference begins somewhere within a tick, and so ends a tick later.
    in_step = settings.stagger == "ticket" or settings.interaction != "async"
    return max(1, longest) + (0 if in_step or longest <= 1 else 1)


def pretrain(place: Place, learner: Learning, updates: Ring) -> None:
    """Learns from the demonstrations, if there are any, before the run begins. A replacement does not begin again."""
    settings = place.assembly.settings
    if settings.demonstrations is None or place.incarnation > 0:
        return
    began = [now_ns()]

    def record(version: int, loss: float) -> None:
        ended = now_ns()
        updates.append((0, loss, began[0], ended, version, version))
        place.beat(ended - began[0])
        began[0] = ended

    learner.pretrain(settings.pretrain_steps, record)


def learning(place: Place, learner: int) -> Learning:
    """What one learner learns with. It goes on from the newest parameters on the board, with a fresh optimiser."""
    configure_jax()
    assembly, settings, spec = place.assembly, place.assembly.settings, place.assembly.spec
    module = networks.build(assembly.network, spec.actions, assembly.width)
    structure = jax.tree.structure(_shapes(assembly))
    optimiser = agents.make_optimiser(settings.learning_rate or spec.learning_rate, settings.gradient_clip)
    update = jax.jit(agents.update(dqn.make(module.apply), optimiser, settings.target_every), donate_argnums=0)

    reader = snapshots.Reader(place.board, place.process.number, partial(snapshots.views, assembly.leaves))
    with reader.pinned() as (version, views):
        first = jax.tree.unflatten(structure, [view.copy() for view in views])

    def fresh_state():
        return agents.init(first, optimiser)._replace(updates=np.int32(version))

    # Compiled and timed on a state that is thrown away, so that the run neither waits for it nor takes it for a hang.
    shape = (settings.batch_size, *assembly.observation_shape)
    blank = agents.Batch(
        np.zeros(shape, spec.observation_dtype),
        np.zeros(settings.batch_size, np.int32),
        np.zeros(settings.batch_size, np.float32),
        np.zeros(settings.batch_size, np.float32),
        np.zeros(shape, spec.observation_dtype),
        np.ones(settings.batch_size, np.float32),
    )
    state, _, _ = update(fresh_state(), blank, np.uint32(0))
    began = now_ns()
    jax.block_until_ready(update(state, blank, np.uint32(0)))
    place.beat(now_ns() - began)

    return Learning(
        _replay(place),
        fresh_state(),
        update,
        snapshots.Publisher(place.board, assembly.leaves),
        learn_every=settings.learn_every,
        batch_size=settings.batch_size,
        learn_start=settings.learn_start,
        rng=place.generator(SAMPLING, learner),
    )
