"""A small multilayer perceptron for environments whose observations are vectors."""

import flax.linen as nn
import jax

from rtrl_jax.networks.heads import VALUES, Heads, answer, normalised
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.networks.inputs import AS_THEY_ARE, Inputs, taken_in
from rtrl_jax.pending import parts

LAYERS = ("Dense_1", "Dense_2")  # the last two


def units_of(width: float) -> int:
    """Of each hidden layer."""
    return max(1, int(128 * width))


class MLP(nn.Module):
    """[batch, features] -> [batch, actions] float32, or what `heads` says."""

    actions: int
    width: float = 1.0
    heads: Heads = VALUES
    inputs: Inputs = AS_THEY_ARE

    @nn.compact
    def __call__(self, observation) -> jax.Array:
        observation, seen = parts(observation)
        units = units_of(self.width)
        x = Relu()(normalised(nn.Dense(units)(taken_in(observation, self.inputs)), "Dense_0", self.heads))
        return answer(x, seen, self.actions, units, self.heads, names=LAYERS)
