"""A small multilayer perceptron for environments whose observations are vectors."""

import flax.linen as nn
import jax

from rtrl_jax.networks.heads import VALUES, Heads, action_values, normalised
from rtrl_jax.networks.hidden import Relu


class MLP(nn.Module):
    """[batch, features] float32 -> [batch, actions] float32, or what `heads` says."""

    actions: int
    width: float = 1.0
    heads: Heads = VALUES

    @nn.compact
    def __call__(self, observation: jax.Array) -> jax.Array:
        units = max(1, int(128 * self.width))
        x = Relu()(normalised(nn.Dense(units)(observation), "Dense_0", self.heads))
        return action_values(x, self.actions, units, self.heads, names=("Dense_1", "Dense_2"))
