"""Losses of soft actor-critic in rlax's manner: time-step subscripts, one transition, vectorised by the caller.

2018b is Haarnoja et al., Soft Actor-Critic Algorithms and Applications (arXiv:1812.05905).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

LEAST_LOG_STD, MOST_LOG_STD = -20.0, 2.0  # as in the authors' code


class Drawn(NamedTuple):
    """An action of a policy."""

    action: jax.Array  # [size], within ±1
    log_pi: jax.Array  # [] the logarithm of its density


def tanh_gaussian(mean: jax.Array, log_std: jax.Array, normal: jax.Array, live: jax.Array | float = 1.0) -> Drawn:
    """An action tanh(u) with u normal, and its density by a change of variables (2018b, appendix C, equation 26).

    Args:
      mean, log_std: [size] of u; the latter is held between LEAST_LOG_STD and MOST_LOG_STD.
      normal: [size] standard normal numbers.
      live: [size] 0 for a number that an action has and nobody can choose, as its bounds are the same; else 1.
    """
    log_std = jnp.clip(log_std, LEAST_LOG_STD, MOST_LOG_STD)
    u = mean + jnp.exp(log_std) * normal
    log_normal = -0.5 * normal**2 - log_std - 0.5 * jnp.log(2 * jnp.pi)
    log_slope = 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))  # of 1 − tanh²(u), which would be 0 far out
    return Drawn(jnp.tanh(u) * live, jnp.sum((log_normal - log_slope) * live))


def soft_target(r_t: jax.Array, discount_t: jax.Array, q_t: jax.Array, log_pi_t: jax.Array, temperature: jax.Array):
    """What the values of an action are drawn to (2018b, equations 3 and 5, with the lesser of two values).

    Args:
      r_t: [] reward until the next decision.
      discount_t: [] 0 where the episode ended.
      q_t: [2] target networks' values of an action drawn in the next decision's state.
      log_pi_t: [] log density of that action.
      temperature: [] α, what a nat of entropy is worth.

    Returns:
      []; no gradient flows into it.
    """
    return jax.lax.stop_gradient(r_t + discount_t * (jnp.min(q_t) - temperature * log_pi_t))


def policy_loss(log_pi: jax.Array, q: jax.Array, temperature: jax.Array) -> jax.Array:
    """What the policy makes small (2018b, equations 7 and 9).

    Args:
      log_pi: [] log density of an action drawn from it.
      q: [2] the critics' values of that action, through which the gradient reaches the policy.
      temperature: [] α; no gradient flows into it.
    """
    return jax.lax.stop_gradient(temperature) * log_pi - jnp.min(q)


def temperature_loss(temperature: jax.Array, log_pi: jax.Array, target_entropy: float) -> jax.Array:
    """What the temperature makes small: it rises while the entropy is below the target (2018b, equation 18).

    Args:
      temperature: [] α.
      log_pi: [] log density of an action drawn from the policy; no gradient flows into it.
    """
    return -temperature * jax.lax.stop_gradient(log_pi + target_entropy)
