"""The convolutional network of Mnih et al. 2015, for comparison."""

import flax.linen as nn
import jax

from rtrl_jax.networks.heads import HIDDEN, VALUES, Heads, answer
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.networks.inputs import scaled
from rtrl_jax.pending import parts


class Nature(nn.Module):
    """[batch, 84, 84, channels] uint8 -> [batch, actions] float32, or what `heads` says."""

    actions: int
    width: float = 1.0
    heads: Heads = VALUES
    input_scale: str = "unit"  # see `inputs`

    @nn.compact
    def __call__(self, observation) -> jax.Array:
        observation, told = parts(observation)
        x = scaled(observation, self.input_scale)
        for filters, kernel, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
            filters = max(1, int(filters * self.width))
            x = Relu()(nn.Conv(filters, (kernel, kernel), (stride, stride), padding="VALID")(x))
        return answer(x.reshape(x.shape[0], -1), told, self.actions, HIDDEN, self.heads)
