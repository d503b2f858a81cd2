"""What an agent is told of its own actions under way, beside the observation that its network began with.

`late`: the network's trunk begins with observation m; its head, which runs just before the decision acts at boundary n, is told
the actions of ticks m + 1 … n − 1. `history`: told what was known when the inference began, the actions of ticks up to m. What is
told goes into a view as whole numbers behind the observation's bits, newest last.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

KINDS = ("none", "history", "late")
ENCODINGS = ("onehot", "counts", "recurrent")
UNTOLD = -1  # in place of an action that is none of those under way
RECURRENT_UNITS = 32


class Pending(NamedTuple):
    """Plain values, known when the program is compiled."""

    kind: str = "none"
    length: int = 0  # most actions that are told
    encoding: str = "onehot"


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


class Encoder(nn.Module):
    """[batch, length] actions, `UNTOLD` among them -> [batch, numbers] float32, to be seen beside the trunk's features.

    `onehot` has a place for each action at each age; `counts` how often each occurs, as a share of the length; `recurrent` is a
    GRU's state after all of them, oldest first, which leaves it as it is where nothing is told.
    """

    actions: int
    encoding: str

    @nn.compact
    def __call__(self, actions: jax.Array) -> jax.Array:
        batch, length = actions.shape
        places = jax.nn.one_hot(actions, self.actions)  # of UNTOLD: zeros
        if self.encoding == "onehot":
            return places.reshape(batch, -1)
        if self.encoding == "counts":
            return places.sum(1) / length
        cell = nn.GRUCell(RECURRENT_UNITS)
        state = jnp.zeros((batch, RECURRENT_UNITS))
        for age in range(length):
            moved, _ = cell(state, places[:, age])
            state = jnp.where((actions[:, age] != UNTOLD)[:, None], moved, state)
        return state
