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
from rtrl_jax.laboratory.pending import told, view
from rtrl_jax.laboratory.worlds import World
from rtrl_jax.pending import Pending

BETA = 0  # what acts where no decision does


class Transition(NamedTuple):
    """As in `agents.agent.Batch`, without the weight; no batch dimension."""

    observation: Any  # [features + length] int8, the view of m_i
    action: Any  # [] int32
    reward: Any  # [] float32, sum of the rewards of ticks n_i … n_(i+1) − 1
    discount: Any  # [] float32, 0 where the episode terminated
    next_observation: Any  # [features + length] int8, the view of m_(i+1), or of the episode's last


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
    views: Any  # [W, features + length] int8, of observation m at m modulo W, as it is when its inference begins
    actions: Any  # [W] int32, decided from them
    in_force: Any  # [P] int32, the action of tick t at t modulo P
    action: Any  # [] int32, the last tick's
    is_open: Any  # [] bool: a decision has acted in this episode, and its transition goes on
    open: Transition  # with its rewards so far, and its discount by them


class Manner(NamedTuple):
    """How an agent takes part. Plain values, known when the program is compiled."""

    gamma: float
    per_tick: bool = False  # whether γ is per tick, else per decision
    pending: Pending = Pending()
    newest: bool = (
        False  # the head acts at every boundary, on the newest features there are; else when a decision is due
    )


def start(world: World, window: int, manner: Manner, key: jax.Array) -> Play:
    """Before tick 0, which begins the first episode."""
    length = manner.pending.length
    blank = jnp.zeros(world.features + length, jnp.int8)
    nothing = Transition(blank, jnp.int32(0), jnp.float32(0), jnp.float32(1), blank)
    return Play(
        world.reset(key),
        jnp.bool_(True),
        jnp.int32(0),
        clock.start(window),
        jnp.zeros((window, world.features + length), jnp.int8),
        jnp.zeros(window, jnp.int32),
        jnp.zeros(max(1, length), jnp.int32),
        jnp.int32(BETA),
        jnp.bool_(False),
        nothing,
    )


def tick(
    world: World,
    play: Play,
    number: jax.Array,
    latency: clock.Latency,
    decide: Callable[[jax.Array], jax.Array],
    manner: Manner,
    key: jax.Array,
):
    """Boundary `number`, and the inference that begins there.

    Args:
      number: [] int32, one more than the last time; 0 first.
      latency: of the inference, which begins at every tick, or when a worker is free.
      decide: view [features + length] int8 -> action [] int32; with the parameters there are now.

    Returns:
      (play, Record, two (whether there is one: [] bool, Transition) pairs).
    """
    reset_key, step_key, took_key = jax.random.split(key, 3)
    window, (kind, length, *_) = play.actions.shape[0], manner.pending
    episode_start = jnp.where(play.fresh, number, play.episode_start)
    if manner.newest:
        timing, obs_tick = play.timing, clock.newest(play.timing, number, episode_start)
    else:
        timing, obs_tick = clock.latch(play.timing, number, episode_start)
    acts = obs_tick != clock.NEVER
    decided_from, decision = play.views[obs_tick % window], play.actions[obs_tick % window]
    if kind == "late":  # the head runs now: what it has is of older parameters in no respect
        under_way = told(play.in_force, obs_tick + 1, number - 1, length)
        decided_from = view(decided_from[: world.features], under_way)
        decision = decide(decided_from)
    held = jnp.where((latency.every > 1) & ~play.fresh, play.action, BETA)
    action = jnp.where(acts, decision, held)
    in_force = play.in_force.at[number % play.in_force.shape[0]].set(action)

    moved, reward, terminated, truncated = world.step(play.state, action, step_key)
    state = jax.tree.map(lambda new, old: jnp.where(play.fresh, new, old), world.reset(reset_key), moved)
    reward = jnp.where(play.fresh, 0.0, reward)
    terminated, truncated = terminated & ~play.fresh, truncated & ~play.fresh
    ended = terminated | truncated
    observation = world.observe(state)
    before = episode_start + 1 if kind == "history" else number + 1  # late: nothing is under way when it begins
    seen = view(observation, told(in_force, before, number, length))

    within, across = (manner.gamma, 1.0) if manner.per_tick else (1.0, manner.gamma)
    discounted = play.open._replace(discount=play.open.discount * across)
    succeeded = (play.is_open & acts, discounted._replace(next_observation=decided_from))
    begun = play.open._replace(observation=decided_from, action=action, reward=jnp.float32(0), discount=jnp.float32(1))
    going_on = jax.tree.map(lambda new, old: jnp.where(acts, new, old), begun, play.open)
    going_on = going_on._replace(
        reward=going_on.reward + going_on.discount * reward, discount=going_on.discount * jnp.float32(within)
    )
    is_open = play.is_open | acts
    last = going_on._replace(discount=jnp.where(terminated, 0.0, going_on.discount * across), next_observation=seen)

    took = clock.draw(latency, took_key)
    nothing_to_decide = ended | ((number - episode_start) % latency.every != 0)
    until_due = kind == "late" and not manner.newest
    timing, _ = clock.hand_out(
        timing, number, took, latency.playout, latency.workers, nothing_to_decide, until_due=until_due
    )
    actions = play.actions if kind == "late" else play.actions.at[number % window].set(decide(seen))
    play = Play(
        state,
        ended,
        episode_start,
        timing,
        play.views.at[number % window].set(seen),
        actions,
        in_force,
        action,
        is_open & ~ended,
        going_on,
    )
    record = Record(obs_tick, episode_start, action, reward, terminated, truncated, observation)
    return play, record, (succeeded, (is_open & ended, last))
