"""A small convolution without pooling, for grids in which each place is a thing of its own (Young and Tian 2019, MinAtar)."""

import flax.linen as nn
import jax

from rtrl_jax.networks.heads import VALUES, Heads, answer
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.networks.inputs import AS_THEY_ARE, Inputs, taken_in
from rtrl_jax.networks.mlp import units_of
from rtrl_jax.pending import parts

FILTERS, KERNEL = 16, 3


class Grid(nn.Module):
    """[batch, rows, columns, channels] -> [batch, actions] float32, or what `heads` says.

    As MinAtar's: one convolution of 3x3 without padding, and a dense layer of 128, both in any width. An axis of fewer than three
    places is padded.
    """

    actions: int
    width: float = 1.0
    heads: Heads = VALUES
    inputs: Inputs = AS_THEY_ARE

    @nn.compact
    def __call__(self, observation) -> jax.Array:
        observation, seen = parts(observation)
        x = taken_in(observation, self.inputs)
        padding = [(0, 0) if size >= KERNEL else (1, 1) for size in x.shape[1:3]]
        x = Relu()(nn.Conv(max(1, int(FILTERS * self.width)), (KERNEL, KERNEL), padding=padding)(x))
        return answer(x.reshape(x.shape[0], -1), seen, self.actions, units_of(self.width), self.heads)
