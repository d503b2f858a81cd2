"""Max-pooling along one axis, with a gradient that is made of two loops.

Where several inputs of a window are the largest, the gradient is shared equally between them.
"""

from functools import partial

import jax
import jax.numpy as jnp

from rtrl_jax.networks.fast.stage import stage
from rtrl_jax.networks.resnet import max_pool

WINDOW = 3


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def pool(x: jax.Array, stride: int, axis: int) -> jax.Array:
    """Valid max-pooling with windows of three along `axis`; the others stay."""
    return stage(partial(max_pool, stride=stride, axes=(axis,)))(x)


def _remember(x, stride, axis):
    y = pool(x, stride, axis)
    return y, (x, y)


def _backward(stride, axis, saved, dy):
    x, y = saved
    size, windows = x.shape[axis], y.shape[axis]
    cut = partial(jax.lax.slice_in_dim, axis=axis)

    def share(x, y, dy):
        parts = [cut(x, i, i + (windows - 1) * stride + 1, stride) for i in range(WINDOW)]
        return dy / sum((part == y).astype(dy.dtype) for part in parts)

    # Inputs stride * n + phase lie in window n, and in those that began up to `reach` earlier.
    places, reach = -(-size // stride), (WINDOW - 1) // stride

    def margin(array, before: int, length: int):
        pairs = [(before, length - before - array.shape[axis]) if a == axis else (0, 0) for a in range(array.ndim)]
        return stage(lambda array: jnp.pad(array, pairs))(array) if any(pairs[axis]) else array

    shared, y = (margin(array, reach, places + reach) for array in (stage(share)(x, y, dy), y))
    x = margin(x, 0, places * stride)

    def of_phase(phase: int):
        def collect(x, y, shared):
            own = cut(x, phase, None, stride)
            return sum(
                jnp.where(own == cut(y, reach - q, reach - q + places), cut(shared, reach - q, reach - q + places), 0)
                for q in range(reach + 1)
                if phase + q * stride < WINDOW
            )

        return stage(collect)(x, y, shared)

    phases = [of_phase(phase) for phase in range(stride)]
    if stride == 1:
        return (phases[0],)
    dx = stage(lambda *phases: jnp.stack(phases, axis + 1))(*phases)
    dx = dx.reshape(*x.shape)
    return (cut(dx, 0, size),)


pool.defvjp(_remember, _backward)
