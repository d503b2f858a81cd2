"""What an inference worker acts with: the compiled network, in place on the board's snapshots, and the policy around it."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from rtrl_jax.agents.exploration import linear
from rtrl_jax.board import snapshots
from rtrl_jax.board.ring import ZeroFramesFirst
from rtrl_jax.core import accelerator
from rtrl_jax.core.context import EXPLORATION, Context
from rtrl_jax.networks import fast, runtime
from rtrl_jax.workers.mailbox import Choice
from rtrl_jax.workers.policy import Exploration, TwoParts, epsilon_greedy, late, one_action, random_actions

UNCOUNTED = 3  # the first inferences after compiling are slower


class Network(NamedTuple):
    snapshots: Any  # a `board.snapshots.Reader`, or what has its `pinned` and `newest_version`
    act: Callable  # (parameters, observation [*shape] or `Seen`, seed uint32) -> array [], or of vectors [size]
    trunk: Callable | None = None  # with a late head the two parts of it, see `Model.trunk` and `Model.head`
    head: Callable | None = None


def network(context: Context) -> Network:
    """Compiles nothing yet: the first call does."""
    runtime.configure()
    assembly, model = context.assembly, context.model
    own = len(assembly.leaves)

    def as_tree(arrays):
        values = jax.tree.unflatten(model.structure, arrays[:own])
        return fast.with_prepared(values, arrays[own:], model.fast) if model.fast else values

    reader = read_snapshots(context, assembly.leaves + assembly.prepared_leaves, as_tree)
    two = (jax.jit(model.trunk()), model.head()) if context.settings.head_is_late else ()
    return Network(reader, jax.jit(model.acting_agent().acts), *two)


def read_snapshots(context: Context, leaves, as_tree=lambda arrays: arrays):
    """A reader of snapshots, in place or copied to the accelerator. Args: as_tree: arrays -> what the reader hands out."""
    device = accelerator.find(context.settings.device)
    arrays = partial(snapshots.views, leaves) if device else partial(_in_place, leaves)
    reader = snapshots.Reader(context.board, context.process.number, lambda slot: as_tree(arrays(slot)))
    if device is None:
        return reader
    jax.config.update("jax_default_device", device)
    return accelerator.Copies(reader, device)


def _in_place(leaves, slot) -> list:
    """The arrays of a slot as JAX arrays that share its memory."""
    views = snapshots.views(leaves, slot)
    arrays = [jax.device_put(view, may_alias=True) for view in views]
    aliased = all(a.unsafe_buffer_pointer() == v.ctypes.data for a, v in zip(arrays, views, strict=True))
    # An array that is a copy would never see an update; jit copies the views at each call instead.
    return arrays if aliased else views


def policy(context: Context, network: Network | None, worker: int) -> Callable[[int], Choice] | TwoParts:
    """The ε-greedy policy of one inference worker, or the baseline that stands in for it, which needs no network."""
    settings, spec = context.settings, context.spec
    if settings.policy == "noop":
        return one_action(spec.default_action)
    generator, note = context.lasting_generator(EXPLORATION, worker)
    if settings.policy == "random":
        return random_actions(spec.actions, generator, note)
    observations, cadence = context.board.observations, settings.cadence
    observations = ZeroFramesFirst(observations) if cadence and cadence.zero_frames else observations
    asks = settings.exploring_takes_time and not settings.is_virtual  # where time is charged, not spent
    exploration = Exploration(epsilon(context), spec.actions, generator, note, asks)
    return _deciding(context, network, observations, exploration)


def _deciding(context: Context, network: Network, observations, exploration: Exploration):
    settings, told = context.settings, context.model.pending
    if settings.head_is_late:
        return late(observations, network.snapshots, network.trunk, network.head, exploration, settings.stacking, told)
    return epsilon_greedy(observations, network.snapshots, network.act, exploration, settings.stacking, told)


def epsilon(context: Context) -> Callable[[int, int], float]:
    """(observation's tick, version) -> ε of how far the run had come with that observation, in the unit of --epsilon_per."""
    settings, observations = context.settings, context.board.observations
    falling, per = linear(*settings.epsilons, settings.epsilon_steps), settings.epsilon_unit
    if per == "update":
        return lambda obs_tick, version: falling(version)
    # With a cadence it is decided in the tick before it acts, however old what it is decided from.
    later = settings.cadence.lag - 1 if settings.cadence else 0
    return lambda obs_tick, version: falling(observations.count(per, obs_tick + later))


def blank_inference(context: Context, network: Network) -> Callable[[], None]:
    """A function that makes an inference on a blank observation, whose outcome is thrown away."""
    blank = context.model.blank()

    def once() -> None:
        with network.snapshots.pinned() as (_, parameters):
            np.asarray(network.act(parameters, blank, np.uint32(0)))

    def in_two_parts() -> None:
        with network.snapshots.pinned() as (_, parameters):
            features = np.asarray(network.trunk(parameters, blank.observation))
            np.asarray(network.head(parameters, blank._replace(observation=features), np.uint32(0)))

    return in_two_parts if network.head else once


def rehearsal(context: Context, network: Network) -> Callable[[], None]:
    """A function that decides from the newest observation as a worker does, never at random, and throws the answer away."""
    settings, observations = context.settings, context.board.observations
    always = Exploration(lambda obs_tick, version: 0.0, context.spec.actions, np.random.default_rng(0))
    decide = _deciding(context, network, observations, always)

    def once() -> None:
        newest = observations.newest
        if settings.head_is_late:
            decide.head(decide.trunk(newest), newest, newest)
        else:
            decide(newest)

    return once


def time_inferences(context: Context, network: Network, count: int, after=lambda took_ns: None) -> np.ndarray:
    """Compiles, and returns how long inferences take on this machine: int64 [count], nanoseconds.

    Args: after: called after each, those that do not count too, with its time.
    """
    once, times = blank_inference(context, network), []
    for _ in range(UNCOUNTED + count):
        began = time.monotonic_ns()
        once()
        times.append(time.monotonic_ns() - began)
        after(times[-1])
    return np.array(times[UNCOUNTED:], np.int64)
