"""The parts of a process that know JAX: the network that acts, the policy around it, the agent that learns.

Imported only by processes that need it, after they have taken their core.
"""

import ctypes
import pathlib
import time
from functools import partial

import jax
import numpy as np

from rtrl_jax import networks
from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import parts
from rtrl_jax.agents.exploration import linear
from rtrl_jax.board import snapshots
from rtrl_jax.board.ring import Ring
from rtrl_jax.drivers import baselines, device
from rtrl_jax.drivers.assembly import Assembly
from rtrl_jax.drivers.place import EXPLORATION, SAMPLING, Place
from rtrl_jax.drivers.wall import now_ns
from rtrl_jax.networks import fast, parameters
from rtrl_jax.replay import demonstrations
from rtrl_jax.replay.prioritised import PrioritisedReplay
from rtrl_jax.replay.transitions import TransitionBuilder
from rtrl_jax.replay.uniform import UniformReplay
from rtrl_jax.replay.union import UnionReplay
from rtrl_jax.workers.learning import Learning, Program
from rtrl_jax.workers.policy import epsilon_greedy

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h


def network(place: Place):
    """The reader of snapshots, and the compiled function from (parameters, observation, seed) to an action."""
    configure_jax()
    assembly = place.assembly
    module, tree = _module(assembly), structure(assembly)
    plan = fast.Plan(*assembly.plan) if assembly.plan else None

    def as_tree(arrays):
        own, prepared = arrays[: len(assembly.leaves)], arrays[len(assembly.leaves) :]
        values = jax.tree.unflatten(tree, own)
        return fast.with_prepared(values, prepared, plan) if plan else values

    reader = _reader(place, assembly.leaves + assembly.prepared_leaves, as_tree)
    apply = fast.acting(module, plan) if plan else module.apply
    return reader, jax.jit(parts.choose(assembly.settings).make(apply).act)


def _module(assembly: Assembly):
    """The network."""
    heads = parts.choose(assembly.settings).heads()
    return networks.build(assembly.network, assembly.spec.actions, assembly.width, heads)


def structure(assembly: Assembly):
    """Of the tree of parameters."""
    shapes = parameters.shapes(_module(assembly), assembly.observation_shape, assembly.spec.observation_dtype)
    return jax.tree.structure(shapes)


def _reader(place: Place, leaves, as_tree=lambda arrays: arrays):
    """Of snapshots, in place or copied to the card."""
    card = device.find(place.assembly.settings.device)
    arrays = partial(snapshots.views, leaves) if card else partial(_in_place, leaves)
    reader = snapshots.Reader(place.board, place.process.number, lambda slot: as_tree(arrays(slot)))
    if card is None:
        return reader
    jax.config.update("jax_default_device", card)
    return device.Copies(reader, card)


def _in_place(leaves, slot) -> list:
    """The arrays of a slot as JAX arrays that share its memory."""
    views = snapshots.views(leaves, slot)
    arrays = [jax.device_put(view, may_alias=True) for view in views]
    aliased = all(a.unsafe_buffer_pointer() == v.ctypes.data for a, v in zip(arrays, views, strict=True))
    # An array that is a copy would never see an update; jit copies the views at each call instead.
    return arrays if aliased else views


def configure_jax() -> None:
    jax.config.update("jax_compilation_cache_dir", str(fast.cache_folder()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_cpu_enable_async_dispatch", False)  # a hand-over to another thread costs more than it hides
    keep_memory()


def keep_memory() -> None:
    """Memory that has been freed stays with the process.

    XLA asks for its working memory anew in each call; that of an update comes to 200 MB at k = 1, and the kernel's handing it
    out page by page took a quarter of the update.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # of glibc
        for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 64 << 20)):
            libc.mallopt(option, value)


def policy(place: Place, reader: snapshots.Reader, act, worker: int):
    """The ε-greedy policy of one inference worker, or the baseline that stands in for it."""
    settings = place.assembly.settings
    start, end = epsilons(settings)
    if settings.policy != "agent":
        return baselines.make(place, worker)
    generator, note = place.lasting_generator(EXPLORATION, worker)
    return epsilon_greedy(
        place.observations,
        reader,
        act,
        linear(start, end, settings.epsilon_steps),
        actions=place.assembly.spec.actions,
        frame_stack=settings.frame_stack,
        rng=generator,
        note=note,
    )


def epsilons(settings) -> tuple[float, float]:
    """ε before the first update and after the last. Without learning there are none: it stands where it would end."""
    noisy = parts.choose(settings).noisy
    end = settings.epsilon_end if settings.epsilon_end is not None else (0.0 if noisy else 0.05)
    start = settings.epsilon_start if settings.epsilon_start is not None else (0.0 if noisy else 1.0)
    return (start if settings.learns else end), end


def _replay(place: Place):
    """Transitions of the run, and those of the demonstrations if there are any."""
    settings, spec, board = place.assembly.settings, place.assembly.spec, place.board
    made_of = parts.choose(settings)

    def builder():
        return TransitionBuilder(
            settings.gamma,
            per_tick=settings.discount_per == "tick",
            n=made_of.n_steps,
            undelayed_next=settings.accounting == "reference",
        )

    if made_of.prioritised:
        replay = PrioritisedReplay(
            place.observations,
            builder(),
            settings.frame_stack,
            board.priorities,
            board.largest_priority,
            board.priorities_entered,
            exponent=settings.priority_exponent,
            importance=settings.importance_exponent,
        )
    else:
        replay = UniformReplay(place.observations, builder(), settings.frame_stack)
    if settings.demonstrations is None:
        return replay
    shown = demonstrations.read(pathlib.Path(settings.demonstrations), spec.observation_shape, spec.actions)
    shown = demonstrations.as_observations(shown, _delay(place))
    return UnionReplay([replay, UniformReplay(shown, builder(), settings.frame_stack)])


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


def pretrain(place: Place, learner: Learning, updates: Ring, now_ns=now_ns) -> None:
    """Learns from the demonstrations, if there are any, before the run first begins."""
    settings = place.assembly.settings
    if settings.demonstrations is None or place.incarnation > 0 or place.assembly.session > 0:
        return
    began = [now_ns()]

    def record(version: int, loss: float) -> None:
        ended = now_ns()
        updates.append((0, loss, began[0], ended, ended, ended, version, version))
        place.beat(ended - began[0])
        began[0] = ended

    def wait() -> None:
        place.beat()
        time.sleep(0.001)

    learner.pretrain(settings.pretrain_steps, record, wait)


def learning(place: Place, learner: int, lock) -> Learning:
    """What one learner learns with. It goes on from what is on the board. Args: lock: see `workers.turns`."""
    configure_jax()
    assembly, settings, board = place.assembly, place.assembly.settings, place.board
    program = _program(assembly)
    publisher = snapshots.Publisher(board, assembly.leaves, assembly.optimiser_leaves, assembly.prepared_leaves)
    reader = _reader(place, assembly.leaves)
    _try_out(place, program, reader, publisher)
    generator, note = place.lasting_generator(SAMPLING, learner)
    learner = Learning(
        _replay(place),
        program,
        publisher,
        reader,
        board,
        batch_size=assembly.batch_size,
        target_every=settings.target_every,
        learn_start=settings.learn_start,
        rng=generator,
        note=note,
        lock=lock,
    )
    learner.catch_up(place.beat)
    return learner


def _program(assembly: Assembly) -> Program:
    """The two halves of an update, compiled, on flat lists of arrays."""
    module, tree = _module(assembly), structure(assembly)
    plan = fast.Plan(*assembly.plan) if assembly.plan else None
    agent = parts.choose(assembly.settings).make(fast.learning(module, plan) if plan else module.apply)
    rate = parts.learning_rate(assembly.settings, assembly.spec)
    optimiser = agents.make_optimiser(rate, assembly.settings.gradient_clip)
    gradient, descend = agents.gradient(agent), agents.descend(optimiser)
    state = jax.tree.structure(
        jax.eval_shape(optimiser.init, jax.tree.unflatten(tree, [_shape(leaf) for leaf in assembly.leaves]))
    )

    def flat_gradient(online, target, batch, seed):
        slope, loss, errors = gradient(jax.tree.unflatten(tree, online), jax.tree.unflatten(tree, target), batch, seed)
        return jax.tree.leaves(slope), loss, errors

    def flat_descend(online, optimiser_leaves, slope):
        trees = (jax.tree.unflatten(tree, online), jax.tree.unflatten(state, optimiser_leaves))
        moved, moved_state = descend(*trees, jax.tree.unflatten(tree, slope))
        return jax.tree.leaves(moved), jax.tree.leaves(moved_state)

    def flat_prepare(online):
        return fast.prepare(fast.kernels(jax.tree.unflatten(tree, online), plan), plan) if plan else []

    return Program(jax.jit(flat_gradient), jax.jit(flat_descend), jax.jit(flat_prepare))


def _shape(leaf: snapshots.Leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _try_out(place: Place, program: Program, reader, publisher) -> None:
    """Compiles and times an update whose outcome is thrown away, so that the run neither waits for it nor takes it for a hang."""
    once = _update(place.assembly, program, reader, publisher)
    for _ in range(2):
        began = now_ns()
        once()
        took = now_ns() - began
    place.beat(took)


def update(place: Place):
    """A function that makes an update on a blank batch, whose outcome is thrown away: to measure how long one takes."""
    configure_jax()
    publisher = snapshots.Publisher(
        place.board, place.assembly.leaves, place.assembly.optimiser_leaves, place.assembly.prepared_leaves
    )
    reader = _reader(place, place.assembly.leaves)
    return _update(place.assembly, _program(place.assembly), reader, publisher)


def _update(assembly: Assembly, program: Program, reader, publisher):
    size, shape = assembly.batch_size, (assembly.batch_size, *assembly.observation_shape)
    numbers, frames = np.zeros(size, np.float32), np.zeros(shape, assembly.spec.observation_dtype)
    blank = agents.Batch(frames, np.zeros(size, np.int32), numbers, numbers, frames, np.ones(size, np.float32))

    def once() -> None:
        with reader.pinned() as (_, online):
            slope, _, _ = program.gradient(online, online, blank, np.uint32(0))
            moved, _ = program.descend(online, publisher.optimiser(), slope)
            jax.block_until_ready(program.prepare(moved))

    return once
