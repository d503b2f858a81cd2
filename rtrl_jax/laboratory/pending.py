"""What an agent is told of its own actions, see `pending`: whole numbers behind an observation's bits, newest last."""

import jax
import jax.numpy as jnp

from rtrl_jax.pending import UNTOLD


def told(in_force: jax.Array, first, last, length: int) -> jax.Array:
    """The actions of ticks `first` to `last`, at most the `length` newest of them.

    Args:
      in_force: [P] int32, the action of tick t at t modulo P; P is at least `length`.
      first, last: [] int32.

    Returns:
      [length] int32, the newest last, `UNTOLD` before `first`.
    """
    ticks = last + 1 - length + jnp.arange(length)
    return jnp.where(ticks >= first, in_force[ticks % in_force.shape[0]], UNTOLD).astype(jnp.int32)


def view(bits: jax.Array, actions: jax.Array) -> jax.Array:
    """An observation and what is told with it: [features] bool, [length] int32 -> [features + length] int8."""
    return jnp.concatenate([bits.astype(jnp.int8), actions.astype(jnp.int8)])
