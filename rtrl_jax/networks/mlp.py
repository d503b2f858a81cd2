"""A small multilayer perceptron for environments whose observations are vectors."""

import flax.linen as nn
import jax

from rtrl_jax.networks.heads import VALUES, Heads, answer, normalised
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.pending import parts

LAYERS = ("Dense_1", "Dense_2")  # the last two


def units_of(width: float) -> int:
    """Of each hidden layer."""
    return max(1, int(128 * width))


class MLP(nn.Module):
    """[batch, features] float32 -> [batch, actions] float32, or what `heads` says."""

    actions: int
    width: float = 1.0
    heads: Heads = VALUES

    @nn.compact
    def __call__(self, observation) -> jax.Array:
        observation, told = parts(observation)
        units = units_of(self.width)
        x = Relu()(normalised(nn.Dense(units)(observation), "Dense_0", self.heads))
        return answer(x, told, self.actions, units, self.heads, names=LAYERS)
