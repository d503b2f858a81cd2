"""How a network reads the actions that it is told, see `rtrl_jax.pending`."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rtrl_jax.pending import UNTOLD

RECURRENT_UNITS = 32


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
        if self.encoding == "onehot" or not length:
            return places.reshape(batch, -1)
        if self.encoding == "counts":
            return places.sum(1) / length
        cell = nn.GRUCell(RECURRENT_UNITS)
        state = jnp.zeros((batch, RECURRENT_UNITS))
        for age in range(length):
            moved, _ = cell(state, places[:, age])
            state = jnp.where((actions[:, age] != UNTOLD)[:, None], moved, state)
        return state
