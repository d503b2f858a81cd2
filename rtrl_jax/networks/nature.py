"""The convolutional network of Mnih et al. 2015, for comparison."""

import flax.linen as nn
import jax

from rtrl_jax.networks.heads import HIDDEN, VALUES, Heads, answer
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.networks.inputs import PIXELS, Inputs, taken_in
from rtrl_jax.pending import parts

LEAST = 36  # rows and columns that leave anything for its last convolution


class Nature(nn.Module):
    """[batch, rows, columns, channels], 84 by 84 there, -> [batch, actions] float32, or what `heads` says."""

    actions: int
    width: float = 1.0
    heads: Heads = VALUES
    inputs: Inputs = PIXELS

    @nn.compact
    def __call__(self, observation) -> jax.Array:
        observation, seen = parts(observation)
        x = taken_in(observation, self.inputs)
        for filters, kernel, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
            filters = max(1, int(filters * self.width))
            x = Relu()(nn.Conv(filters, (kernel, kernel), (stride, stride), padding="VALID")(x))
        return answer(x.reshape(x.shape[0], -1), seen, self.actions, HIDDEN, self.heads)
