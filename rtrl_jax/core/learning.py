"""What a learner learns with: the two halves of an update, compiled, the replay around the board, demonstrations."""

import pathlib
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rtrl_jax import actions, stagger
from rtrl_jax.agents import agent as agents
from rtrl_jax.board import snapshots
from rtrl_jax.core import loops
from rtrl_jax.core.acting import read_snapshots
from rtrl_jax.core.assembly import Assembly
from rtrl_jax.core.context import SAMPLING, Context
from rtrl_jax.networks import hidden, runtime, statistics
from rtrl_jax.pending import Pending
from rtrl_jax.replay import demonstrations
from rtrl_jax.replay.prioritised import PrioritisedReplay
from rtrl_jax.replay.uniform import UniformReplay
from rtrl_jax.replay.union import UnionReplay
from rtrl_jax.workers.learner import Applied, Gradients, Learner, Program, record


def learner(context: Context, lock, saved=None) -> Learner:
    """The learner of this process, which goes on from what is on the board.

    Args:
      lock: see `workers.turns`.
      saved: the state of another, to the letter; None: it takes in what there is to learn from when it first needs it.
    """
    runtime.configure()
    assembly, settings, board = context.assembly, context.settings, context.board
    program, publisher = _program(assembly), _publisher(context)
    reader = read_snapshots(context, assembly.leaves)
    _try_out(context, program, reader, publisher)
    generator, note = context.lasting_generator(SAMPLING, context.process.learner)
    found = Learner(
        _replay(context),
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
    if saved is not None:
        found.restore(saved)
    return found


def _publisher(context: Context) -> snapshots.Publisher:
    assembly = context.assembly
    return snapshots.Publisher(context.board, assembly.leaves, assembly.optimiser_leaves, assembly.prepared_leaves)


def _replay(context: Context):
    """Transitions of the run, and those of the demonstrations if there are any."""
    settings, spec, board, horizon = context.settings, context.spec, context.board, loops.horizon(context)
    prioritised = context.model.variant.prioritised

    def replay_of(acts, nodes, entered):
        if not prioritised:
            return UniformReplay(acts, horizon)
        exponents = {"exponent": settings.priority_exponent, "importance": settings.importance_exponent}
        return PrioritisedReplay(acts, horizon, nodes, board.largest_priority, entered, **exponents)

    replay = replay_of(board.acts, board.priorities, board.priorities_entered)
    if settings.demonstrations is None:
        return replay
    path, dtype = pathlib.Path(settings.demonstrations), spec.observation_dtype
    shown = demonstrations.read(path, spec.observation_shape, spec.actions, dtype=dtype)
    acts = demonstrations.as_acts(
        shown,
        _delay(context),
        settings.stacking,
        loops.accounting(context),
        context.model.pending or Pending(),
        spec.default_action,
        actions.layout(spec.actions),
        beat=context.beat,
    )
    theirs = replay_of(acts, board.demonstration_priorities, board.demonstrations_entered)
    return UnionReplay([replay, theirs], settings.importance_exponent if prioritised else 0.0)


def _delay(context: Context) -> int:
    """The delay in ticks that this run's agent will have, from the inference times its workers met while warming up."""
    settings, board = context.settings, context.board
    acting = [process.number for process in context.assembly.processes if process.workers]
    if settings.cadence:
        return settings.cadence.lag
    if settings.playout_ticks:
        return settings.playout_ticks
    while not (board.ready[acting].all() or context.process.number in acting):
        context.beat()
        time.sleep(0.01)
    longest = int(np.ceil(board.warm_up_ns.max() / context.tau_m_ns))
    # Without tickets an inference begins somewhere within a tick, and so ends a tick later.
    in_step = stagger.by_name(settings.stagger).hands_out_tickets or settings.is_sequential
    return max(1, longest) + (0 if in_step or longest <= 1 else 1)


def pretrain(
    context: Context, learner: Learner, now_ns: Callable[[], int], noted: Callable[[], None] = lambda: None
) -> None:
    """Learns from the demonstrations, if there are any, before the run first begins.

    Args: noted: called after each update, for a process that has nobody beside it who takes the records in.
    """
    settings, updates = context.settings, context.board.updates(context.process.learner)
    if settings.demonstrations is None or context.incarnation > 0 or context.assembly.session > 0:
        return
    began = [now_ns()]

    def note(found: Gradients, applied: Applied) -> None:
        ended = now_ns()
        updates.append(record(0, found, applied, began[0], ended, ended, ended))
        context.beat(ended - began[0])
        noted()
        began[0] = ended

    def wait() -> None:
        context.beat()
        time.sleep(0.001)

    learner.pretrain(settings.pretrain_steps, note, wait)


def _program(assembly: Assembly) -> Program:
    """The two halves of an update, compiled, on flat lists of arrays."""
    model, tree = assembly.model, assembly.model.structure
    gradients = statistics.gradients(agents.gradients(model.learning_agent()), model.inputs)
    apply = statistics.apply_gradients(agents.apply_gradients(model.optimiser), model.inputs)
    rate = model.settings.target_rate
    state = jax.tree.structure(model.optimiser_shapes)

    def flat_gradients(online, target, batch, seed):
        grads, loss, said = gradients(jax.tree.unflatten(tree, online), jax.tree.unflatten(tree, target), batch, seed)
        return jax.tree.leaves(grads), jnp.stack([loss, said.q, said.target_q, said.td_error]), said.errors

    def flat_apply(online, optimiser_leaves, grads):
        trees = (jax.tree.unflatten(tree, online), jax.tree.unflatten(state, optimiser_leaves))
        moved, moved_state, norm = apply(*trees, jax.tree.unflatten(tree, grads))
        return jax.tree.leaves(moved), jax.tree.leaves(moved_state), norm

    def flat_prepare(online):
        return model.prepare(jax.tree.unflatten(tree, online))

    def flat_inactive(online, observation, seed):
        return inactive(jax.tree.unflatten(tree, online), observation, seed)

    inactive = hidden.inactive(model.learning_apply())
    functions = [flat_gradients, flat_apply, flat_prepare, flat_inactive]
    return Program(*map(jax.jit, [*functions, partial(agents.toward, rate=rate)] if rate < 1 else functions))


def _try_out(context: Context, program: Program, reader, publisher) -> None:
    """Compiles and times an update whose outcome is thrown away, so that the run neither waits for it nor takes it for a hang."""
    once = _blank_update(context, program, reader, publisher)
    with reader.pinned() as (_, online):
        program.inactive(online, _blank_batch(context).observation, np.uint32(0))
    context.beat()
    for _ in range(2):
        began = time.monotonic_ns()
        once()
        took = time.monotonic_ns() - began
    context.beat(took)


def blank_update(context: Context) -> Callable[[], None]:
    """A function that makes an update on a blank batch, whose outcome is thrown away: to measure how long one takes."""
    runtime.configure()
    reader = read_snapshots(context, context.assembly.leaves)
    return _blank_update(context, _program(context.assembly), reader, _publisher(context))


def _blank_update(context: Context, program: Program, reader, publisher) -> Callable[[], None]:
    blank = _blank_batch(context)

    def once() -> None:
        with reader.pinned() as (_, online):
            grads, _, _ = program.gradients(online, online, blank, np.uint32(0))
            moved, _, _ = program.apply_gradients(online, publisher.optimiser(), grads)
            jax.block_until_ready(program.prepare(moved))
            if program.toward:
                jax.block_until_ready(program.toward(moved, online))

    return once


def _blank_batch(context: Context) -> agents.Batch:
    size = context.assembly.batch_size
    numbers, frames = np.zeros(size, np.float32), context.model.blank(size)
    soon = agents.OneStep(numbers, numbers, frames) if context.model.variant.one_step else None
    taken = np.zeros(size, actions.layout(context.spec.actions))
    return agents.Batch(frames, taken, numbers, numbers, frames, np.ones(size, np.float32), soon)
