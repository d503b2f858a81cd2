"""How a network reads the actions that it is told, see `rtrl_jax.pending`."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rtrl_jax.actions import Actions, Vector
from rtrl_jax.pending import UNTOLD

RECURRENT_UNITS = 32


class Encoder(nn.Module):
    """[batch, length] actions, `UNTOLD` among them -> [batch, numbers] float32, to be seen beside the trunk's features.

    `onehot` has a place for each action at each age; `counts` how often each occurs, as a share of the length; `recurrent` is a
    GRU's state after all of them, oldest first, which leaves it as it is where nothing is told. Of vectors the first is the
    vectors themselves, `masked`.
    """

    actions: Actions
    encoding: str

    @nn.compact
    def __call__(self, actions: jax.Array) -> jax.Array:
        batch, length = actions.shape[:2]
        if isinstance(self.actions, Vector):
            there, places = ~jnp.isnan(actions[..., 0]), masked(actions, self.actions).reshape(batch, length, -1)
        else:
            there, places = actions != UNTOLD, jax.nn.one_hot(actions, self.actions)  # of UNTOLD: zeros
        if self.encoding == "onehot" or not length:
            return places.reshape(batch, -1)
        if self.encoding == "counts":
            return places.sum(1) / length
        cell = nn.GRUCell(RECURRENT_UNITS)
        state = jnp.zeros((batch, RECURRENT_UNITS))
        for age in range(length):
            moved, _ = cell(state, places[:, age])
            state = jnp.where(there[:, age, None], moved, state)
        return state


def masked(actions: jax.Array, space: Vector) -> jax.Array:
    """Vectors that are told, [batch, length, size] with NaN for none -> [batch, length · (size + 1)], each within ±1.

    Beside each stands 1; in place of none all are 0.
    """
    low, high = jnp.asarray(space.low, jnp.float32), jnp.asarray(space.high, jnp.float32)
    half = jnp.where(high > low, (high - low) / 2, 1)
    there = ~jnp.isnan(actions)
    scaled = jnp.where(there, (actions - (low + high) / 2) / half, 0)
    return jnp.concatenate([scaled, there[..., :1].astype(jnp.float32)], axis=-1).reshape(len(actions), -1)
