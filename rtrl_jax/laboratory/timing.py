"""The timing model: which decision acts at which tick, as pure functions that stand for the environment and inference loops.

`asynchronous`: an inference begins at every boundary (there are always enough workers), and the decision from observation m
is due at boundary m + max(ticks taken, D), as with tickets and playout D. A sequential agent is one worker: an inference begins
at the boundary where the last one's decision was due. At a boundary `latch` or `newest` comes first, then the step of the world,
then `hand_out`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from scipy import special

NEVER = -1
MANY = 10**6  # workers: more than any window has ticks


class Timing(NamedTuple):
    """What is under way. W is the window: no inference takes longer, and no playout is later."""

    due: jax.Array  # [W] int32, when the decision from observation m, at m modulo W, is due; NEVER if there is none
    last_applied: jax.Array  # [] int32, observation of the last decision that acted
    free_at: jax.Array  # [W] int32, when each worker is free again; nobody needs more than W


def start(window: int) -> Timing:
    """Before the first boundary, which is 0."""
    return Timing(jnp.full(window, NEVER, jnp.int32), jnp.int32(-1), jnp.zeros(window, jnp.int32))


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


def newest(timing: Timing, tick: jax.Array, episode_start: jax.Array) -> jax.Array:
    """What a head that decides at every boundary begins with: the newest observation of the episode whose features are there.

    They may have served before, and W is to be twice the longest inference: with few workers they serve until the next are there.

    Returns:
      the observation's tick: [] int32, NEVER if there is none.
    """
    window = timing.due.shape[0]
    obs_tick = tick - 1 - jnp.mod(tick - 1 - jnp.arange(window), window)
    usable = (timing.due != NEVER) & (timing.due <= tick) & (obs_tick >= episode_start)
    return jnp.max(jnp.where(usable, obs_tick, NEVER))


def hand_out(
    timing: Timing,
    tick: jax.Array,
    took: jax.Array,
    playout: jax.Array,
    workers: jax.Array,
    over: jax.Array,
    until_due: bool = False,
) -> tuple[Timing, jax.Array]:
    """Begins an inference from observation `tick`, if one is to begin.

    Args:
      took: [] int32, how many ticks it will take (an answer within a tick: 1), at most W.
      playout: [] int32, D, at most W; 0 without playout.
      workers: [] int32, how many there are: W or more are always enough.
      over: [] bool, whether nothing is to be decided at this boundary: the episode ended there, say.
      until_due: whether a worker waits with its answer until that is due, and not only until it has it.

    Returns:
      (timing, whether one begins: [] bool).
    """
    window = timing.due.shape[0]
    worker = jnp.argmin(jnp.where(jnp.arange(window) < workers, timing.free_at, jnp.iinfo(jnp.int32).max))
    begins = (timing.free_at[worker] <= tick) & ~over
    ready = tick + jnp.maximum(took, playout)
    free = ready if until_due else tick + took
    place = tick % window
    due = timing.due.at[place].set(jnp.where(begins, ready, NEVER))
    free_at = timing.free_at.at[worker].set(jnp.where(begins, free, timing.free_at[worker]))
    return timing._replace(due=due, free_at=free_at), begins


class Latency(NamedTuple):
    """How many ticks inference takes, ⌈mean · u⌉ with u uniform in 1 ± spread or gamma distributed; and what goes with it."""

    mean: jax.Array  # [] float32, ticks
    spread: jax.Array  # [] float32, 0 for a constant
    cv: jax.Array  # [] float32, the coefficient of variation of a gamma distribution; 0: uniform
    longest: jax.Array  # [] int32, ticks; none takes longer
    playout: jax.Array  # [] int32
    workers: jax.Array  # [] int32
    every: (
        jax.Array
    )  # [] int32, ticks between decisions, each of which holds until the next; 1: β holds where none acts


QUANTILE = 0.995  # of the ticks taken, that tickets are played out at, as `--playout=auto` does
LONGEST = 0.9999  # the quantile at which a gamma distribution is cut off


def latency(
    mean: float,
    spread: float = 0.0,
    sequential: bool = False,
    *,
    cv: float = 0.0,
    workers: int | None = None,
    every: int = 1,
    playout: bool = True,
) -> Latency:
    """A constant of `mean` ticks, whole, has a delay of just that many. Sequential agents have one worker and no playout.

    Args: workers: None for as many as are ever needed.
    """
    late_enough = playout_for(mean, spread, cv) if playout and not sequential else 0
    workers = 1 if sequential else workers or MANY
    numbers = window_for(mean, spread, cv), late_enough, workers, every
    return Latency(*map(jnp.float32, (mean, spread, cv)), *map(jnp.int32, numbers))


def playout_for(mean: float, spread: float, cv: float = 0.0) -> int:
    """D, in ticks."""
    return int(_ceil(mean * (_gamma(QUANTILE, cv) if cv else 1 + spread * (2 * QUANTILE - 1))))


def window_for(mean: float, spread: float, cv: float = 0.0) -> int:
    """The least window that holds every inference."""
    return int(_ceil(mean * (_gamma(LONGEST, cv) if cv else 1 + spread)))


def _gamma(quantile: float, cv: float) -> float:
    """Of the gamma distribution with mean 1."""
    return float(special.gammaincinv(cv**-2, quantile)) * cv**2


def draw(latency: Latency, key: jax.Array) -> jax.Array:
    """The ticks that one inference takes: [] int32, at least 1."""
    u = jax.random.uniform(key, minval=-1.0, maxval=1.0)
    shape = 1 / jnp.square(jnp.maximum(latency.cv, 1e-3))
    share = jnp.where(latency.cv > 0, jax.random.gamma(key, shape) / shape, 1 + latency.spread * u)
    return jnp.minimum(_ceil(latency.mean * share), latency.longest)


ROUNDING = 1e-4  # ticks: what float32 may add to a whole number of them must not cost another tick


def _ceil(ticks):
    return jnp.maximum(1, jnp.ceil(jnp.asarray(ticks) - ROUNDING)).astype(jnp.int32)
