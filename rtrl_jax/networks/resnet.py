"""The paper's 15-layer ResNet and its 30-layer "2xDeep" variant, with width factor k (section 5, Appendix A)."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from rtrl_jax.networks.heads import HIDDEN, VALUES, Heads, answer
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.networks.inputs import PIXELS, Inputs, taken_in
from rtrl_jax.pending import parts

POOLING_STRIDES = {3: (2, 2, 2), 6: (2, 1, 1, 1, 2, 1)}
LEAST = 5  # rows or columns that a block's convolution and pooling leave one of


class ResNet(nn.Module):
    """[batch, rows, columns, channels], 84 by 84 in the paper, -> [batch, actions] float32, or what `heads` says.

    Each block: a valid 3x3 convolution, a 3x3 max-pool, two residual pairs of 3x3 convolutions. Filters: 16k in the first
    block, 32k after it. Of 84x84 the last feature map is 7x7x32k with three blocks and 8x8x32k with six. An axis that has become
    shorter than `LEAST` is padded in a block, and not pooled: so images of any size will do.
    """

    actions: int
    width: float = 1.0
    heads: Heads = VALUES
    blocks: int = 3
    inputs: Inputs = PIXELS

    @nn.compact
    def __call__(self, observation) -> jax.Array:
        observation, seen = parts(observation)
        x = taken_in(observation, self.inputs)
        for block, stride in enumerate(POOLING_STRIDES[self.blocks]):
            filters = max(1, int((16 if block == 0 else 32) * self.width))
            large = [size >= LEAST for size in x.shape[1:3]]
            x = nn.Conv(filters, (3, 3), padding=[(0, 0) if enough else (1, 1) for enough in large])(x)
            x = max_pool(x, stride, tuple(axis for axis, enough in zip((1, 2), large, strict=True) if enough))
            for _ in range(2):
                y = nn.Conv(filters, (3, 3))(Relu()(x))
                x = x + nn.Conv(filters, (3, 3))(Relu()(y))
        x = Relu()(x).reshape(x.shape[0], -1)
        return answer(x, seen, self.actions, HIDDEN, self.heads)


def max_pool(x: jax.Array, stride: int, axes: tuple[int, ...] = (1, 2), window: int = 3) -> jax.Array:
    """Valid max-pooling along axes of [batch, height, width, channels], as maxima over strided slices.

    XLA's CPU backend is slow at reduce_window, and far slower at its gradient. One axis after the other needs six slices
    instead of nine, and makes the gradient three times faster still.
    """
    for axis in axes:
        reach = (x.shape[axis] - window) // stride * stride + 1
        parts = [jax.lax.slice_in_dim(x, i, i + reach, stride, axis) for i in range(window)]
        x = functools.reduce(jnp.maximum, parts)
    return x
