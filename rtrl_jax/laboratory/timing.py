"""The timing model: which decision acts at which tick, as pure functions that stand for the environment and inference loops.

`asynchronous`: an inference begins at every boundary (there are always enough workers), and the decision from observation m
is due at boundary m + max(ticks taken, D), as with tickets and playout D. `sequential`: an inference begins at the boundary
where the last one's decision was due. At a boundary `latch` comes first, then the step of the world, then `hand_out`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

NEVER = -1


class Timing(NamedTuple):
    """What is under way. W is the window: no inference takes longer, and no playout is later."""

    due: jax.Array  # [W] int32, when the decision from observation m, at m modulo W, is due; NEVER if there is none
    last_applied: jax.Array  # [] int32, observation of the last decision that acted
    busy_until: jax.Array  # [] int32, when the newest inference is over


def start(window: int) -> Timing:
    """Before the first boundary, which is 0."""
    return Timing(jnp.full(window, NEVER, jnp.int32), jnp.int32(-1), jnp.int32(0))


def latch(timing: Timing, tick: jax.Array, episode_start: jax.Array) -> tuple[Timing, jax.Array]:
    """What acts at boundary `tick`: of what is due, the newest observation, unless it is of an older episode or outdated.

    Args:
      tick, episode_start: [] int32.

    Returns:
      (timing, the observation's tick: [] int32, NEVER if β acts).
    """
    window = timing.due.shape[0]
    age = jnp.mod(tick - 1 - jnp.arange(window), window) + 1  # of the observation in each place: 1 to W ticks
    obs_tick = tick - age
    usable = (timing.due == tick) & (obs_tick > timing.last_applied) & (obs_tick >= episode_start)
    chosen = jnp.max(jnp.where(usable, obs_tick, NEVER))
    return timing._replace(last_applied=jnp.maximum(timing.last_applied, chosen)), chosen


def hand_out(
    timing: Timing, tick: jax.Array, took: jax.Array, playout: jax.Array, sequential: jax.Array, over: jax.Array
) -> tuple[Timing, jax.Array]:
    """Begins an inference from observation `tick`, if one is to begin.

    Args:
      took: [] int32, how many ticks it will take (an answer within a tick: 1), at most W.
      playout: [] int32, D, at most W; 0 without playout.
      sequential: [] bool.
      over: [] bool, whether the episode ended at this boundary: then nothing is left to decide.

    Returns:
      (timing, whether one begins: [] bool).
    """
    begins = (~sequential | (timing.busy_until <= tick)) & ~over
    ready = tick + jnp.maximum(took, playout)
    place = tick % timing.due.shape[0]
    due = timing.due.at[place].set(jnp.where(begins, ready, NEVER))
    return timing._replace(due=due, busy_until=jnp.where(begins, ready, timing.busy_until)), begins


class Latency(NamedTuple):
    """How many ticks inference takes: ⌈mean · u⌉ with u uniform in 1 ± spread; and the playout that goes with it."""

    mean: jax.Array  # [] float32, ticks
    spread: jax.Array  # [] float32, 0 for a constant
    playout: jax.Array  # [] int32
    sequential: jax.Array  # [] bool


QUANTILE = 0.995  # of the ticks taken, that tickets are played out at, as `--playout=auto` does


def latency(mean: float, spread: float, sequential: bool) -> Latency:
    """A constant of `mean` ticks, whole, has a delay of just that many. Sequential agents have no playout."""
    playout = 0 if sequential else _ceil(mean * (1 + spread * (2 * QUANTILE - 1)))
    return Latency(jnp.float32(mean), jnp.float32(spread), jnp.int32(playout), jnp.bool_(sequential))


def window_for(mean: float, spread: float) -> int:
    """The least window that holds every inference."""
    return int(_ceil(mean * (1 + spread)))


def draw(latency: Latency, key: jax.Array) -> jax.Array:
    """The ticks that one inference takes: [] int32, at least 1."""
    u = jax.random.uniform(key, minval=-1.0, maxval=1.0)
    return _ceil(latency.mean * (1 + latency.spread * u))


ROUNDING = 1e-4  # ticks: what float32 may add to a whole number of them must not cost another tick


def _ceil(ticks):
    return jnp.maximum(1, jnp.ceil(jnp.asarray(ticks) - ROUNDING)).astype(jnp.int32)
