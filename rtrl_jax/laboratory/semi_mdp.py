"""One tick of the delayed, inactive, staggered semi-MDP (paper Definition 1) around a world written in JAX.

It keeps the order of `workers.environment`: latch, step (or reset: the tick after an episode's last is the next one's first),
observe; then the inference from that observation begins. `tick` also gives the transitions that the tick completes, those of
`replay.transitions` with n = 1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rtrl_jax.laboratory import timing as clock
from rtrl_jax.laboratory.worlds import World

BETA = 0  # what acts where no decision does


class Transition(NamedTuple):
    """As in `agents.agent.Batch`, without the weight; no batch dimension."""

    observation: Any  # [features] bool, m_i
    action: Any  # [] int32
    reward: Any  # [] float32, sum of the rewards of ticks n_i … n_(i+1) − 1
    discount: Any  # [] float32, 0 where the episode terminated
    next_observation: Any  # [features] bool, m_(i+1), or the episode's last


class Record(NamedTuple):
    """What happened in a tick, under the names of `board.layout.TICK`."""

    obs_tick: Any  # [] int32, −1 where β acted
    episode_start: Any  # [] int32
    action: Any  # [] int32
    reward: Any  # [] float32
    terminated: Any  # [] bool
    truncated: Any  # [] bool
    observation: Any  # [features] bool


class Play(NamedTuple):
    """Everything that goes on from one tick to the next, but for what is learnt. W is the window of the timing."""

    state: Any  # the world's
    fresh: Any  # [] bool: the next tick begins an episode
    episode_start: Any  # [] int32
    timing: clock.Timing
    observations: Any  # [W, features] bool, observation m at m modulo W
    actions: Any  # [W] int32, decided from them
    is_open: Any  # [] bool: a decision has acted in this episode, and its transition goes on
    open: Transition  # with its rewards so far


def start(world: World, window: int, key: jax.Array) -> Play:
    """Before tick 0, which begins the first episode."""
    zeros = jnp.zeros(world.features, bool)
    nothing = Transition(zeros, jnp.int32(0), jnp.float32(0), jnp.float32(0), zeros)
    return Play(
        world.reset(key),
        jnp.bool_(True),
        jnp.int32(0),
        clock.start(window),
        jnp.zeros((window, world.features), bool),
        jnp.zeros(window, jnp.int32),
        jnp.bool_(False),
        nothing,
    )


def tick(
    world: World,
    play: Play,
    number: jax.Array,
    latency: clock.Latency,
    decide: Callable[[jax.Array], jax.Array],
    gamma: float,
    key: jax.Array,
):
    """Boundary `number`, and the inference that begins there.

    Args:
      number: [] int32, one more than the last time; 0 first.
      latency: of the inference, which begins at every tick, or if sequential when the last one is over.
      decide: observation [features] bool -> action [] int32; with the parameters there are now.
      gamma: discount per decision.

    Returns:
      (play, Record, two (whether there is one: [] bool, Transition) pairs).
    """
    reset_key, step_key, took_key = jax.random.split(key, 3)
    window = play.actions.shape[0]
    episode_start = jnp.where(play.fresh, number, play.episode_start)
    timing, obs_tick = clock.latch(play.timing, number, episode_start)
    acts = obs_tick != clock.NEVER
    action = jnp.where(acts, play.actions[obs_tick % window], BETA)

    moved, reward, terminated, truncated = world.step(play.state, action, step_key)
    state = jax.tree.map(lambda new, old: jnp.where(play.fresh, new, old), world.reset(reset_key), moved)
    reward = jnp.where(play.fresh, 0.0, reward)
    terminated, truncated = terminated & ~play.fresh, truncated & ~play.fresh
    ended = terminated | truncated
    observation = world.observe(state)

    decided_from = play.observations[obs_tick % window]
    succeeded = (play.is_open & acts, play.open._replace(discount=jnp.float32(gamma), next_observation=decided_from))
    begun = play.open._replace(observation=decided_from, action=action, reward=jnp.float32(0))
    going_on = jax.tree.map(lambda new, old: jnp.where(acts, new, old), begun, play.open)
    going_on = going_on._replace(reward=going_on.reward + reward)
    is_open = play.is_open | acts
    last = going_on._replace(discount=jnp.where(terminated, 0.0, gamma), next_observation=observation)

    took = clock.draw(latency, took_key)
    timing, _ = clock.hand_out(timing, number, took, latency.playout, latency.sequential, ended)
    play = Play(
        state,
        ended,
        episode_start,
        timing,
        play.observations.at[number % window].set(observation),
        play.actions.at[number % window].set(decide(observation)),
        is_open & ~ended,
        going_on,
    )
    record = Record(obs_tick, episode_start, action, reward, terminated, truncated, observation)
    return play, record, (succeeded, (is_open & ended, last))
