"""Temporal-difference losses in rlax's manner: time-step subscripts, one transition, vectorised by the caller."""

import jax
import jax.numpy as jnp


def q_learning(q_tm1: jax.Array, a_tm1: jax.Array, r_t: jax.Array, discount_t: jax.Array, q_t: jax.Array) -> jax.Array:
    """Q-learning's temporal-difference error (Watkins 1989; Mnih et al. 2015).

    Args:
      q_tm1: [actions] values of the state the action was decided in.
      a_tm1: [] the action.
      r_t: [] reward until the next decision.
      discount_t: [] 0 where the episode ended.
      q_t: [actions] target network's values of the next decision's state.

    Returns:
      [] target minus value; no gradient flows into the target.
    """
    target = r_t + discount_t * jnp.max(q_t)
    return jax.lax.stop_gradient(target) - q_tm1[a_tm1]


def huber(error: jax.Array, delta: float = 1.0) -> jax.Array:
    """Quadratic up to `delta`, linear beyond (Huber 1964): the clipped error of Mnih et al. 2015."""
    size = jnp.abs(error)
    quadratic = jnp.minimum(size, delta)
    return 0.5 * quadratic**2 + delta * (size - quadratic)
