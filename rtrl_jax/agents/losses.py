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


def double_q_learning(
    q_tm1: jax.Array, a_tm1: jax.Array, r_t: jax.Array, discount_t: jax.Array, q_t: jax.Array, q_t_selector: jax.Array
) -> jax.Array:
    """Double Q-learning's temporal-difference error (van Hasselt et al. 2016).

    Args:
      q_tm1, a_tm1, r_t, discount_t, q_t: as in `q_learning`.
      q_t_selector: [actions] values that choose the action which `q_t` then values: the online network's.

    Returns:
      [] target minus value; no gradient flows into the target.
    """
    target = r_t + discount_t * q_t[jnp.argmax(q_t_selector)]
    return jax.lax.stop_gradient(target) - q_tm1[a_tm1]


def categorical_projection(z_p: jax.Array, probs: jax.Array, z_q: jax.Array) -> jax.Array:
    """A distribution on atoms `z_p`, moved onto the atoms `z_q` (Bellemare et al. 2017, equation 7).

    Each atom's probability is shared by the two neighbours it falls between; beyond the ends it goes to the end.

    Args:
      z_p: [atoms_p]
      probs: [atoms_p]
      z_q: [atoms_q] evenly spaced, rising.

    Returns:
      [atoms_q] probabilities.
    """
    spacing = z_q[1] - z_q[0]
    distance = jnp.abs(jnp.clip(z_p, z_q[0], z_q[-1])[None, :] - z_q[:, None]) / spacing
    return jnp.clip(1 - distance, 0, 1) @ probs


def categorical_target(
    atoms: jax.Array, r_t: jax.Array, discount_t: jax.Array, q_logits_t: jax.Array, q_t_selector: jax.Array
) -> jax.Array:
    """The distribution that categorical double Q-learning draws to: [atoms] probabilities.

    Args: as in `categorical_double_q_learning`. No gradient flows into it.
    """
    p_t = jax.nn.softmax(q_logits_t[jnp.argmax(q_t_selector)])
    return jax.lax.stop_gradient(categorical_projection(r_t + discount_t * atoms, p_t, atoms))


def categorical_double_q_learning(
    atoms: jax.Array,
    q_logits_tm1: jax.Array,
    a_tm1: jax.Array,
    r_t: jax.Array,
    discount_t: jax.Array,
    q_logits_t: jax.Array,
    q_t_selector: jax.Array,
) -> jax.Array:
    """Cross-entropy of categorical double Q-learning (Bellemare et al. 2017; Hessel et al. 2018).

    Args:
      atoms: [atoms] returns that the distributions are over, evenly spaced.
      q_logits_tm1: [actions, atoms] of the state the action was decided in.
      a_tm1, r_t, discount_t: as in `q_learning`.
      q_logits_t: [actions, atoms] target network's for the next decision's state.
      q_t_selector: [actions] values that choose the next action: the online network's, or the means of `q_logits_t`
        themselves, which is then plain categorical Q-learning.

    Returns:
      [] not negative; no gradient flows into the target.
    """
    target = categorical_target(atoms, r_t, discount_t, q_logits_t, q_t_selector)
    return -jnp.sum(target * jax.nn.log_softmax(q_logits_tm1[a_tm1]))


def huber(error: jax.Array, delta: float = 1.0) -> jax.Array:
    """Quadratic up to `delta`, linear beyond (Huber 1964): the clipped error of Mnih et al. 2015."""
    size = jnp.abs(error)
    quadratic = jnp.minimum(size, delta)
    return 0.5 * quadratic**2 + delta * (size - quadratic)
