"""A reflex's eye: the few layers through which a late head sees the newest observation."""

import flax.linen as nn
import jax

from rtrl_jax.networks.hidden import Relu
from rtrl_jax.networks.inputs import AS_THEY_ARE, Inputs, taken_in

FILTERS, UNITS = 16, 64
CONVOLUTIONS = ((8, 4), (4, 2))  # of each its window and its stride


class Eye(nn.Module):
    """[batch, height, width, channels] -> [batch, UNITS] float32; of vectors [batch, features] a dense layer.

    The same at every width: about a million multiplications for 84x84x1, so a tenth of a millisecond.
    """

    inputs: Inputs = AS_THEY_ARE  # what the network sees its observation by

    @nn.compact
    def __call__(self, newest: jax.Array) -> jax.Array:
        x = taken_in(newest, self.inputs)
        if x.ndim > 2:
            for window, stride in CONVOLUTIONS:
                x = Relu()(nn.Conv(FILTERS, (window, window), (stride, stride))(x))
        return Relu()(nn.Dense(UNITS)(x.reshape(x.shape[0], -1)))
