"""3x3 max-pooling whose gradient is fast: it remembers which number of a window was the largest.

Autodiff would compare anew, and keep two masks of numbers for each maximum. Where several of a window are the largest the
gradient goes to the first of them; autodiff's is shared out.
"""

from functools import partial

import jax
import jax.numpy as jnp

from rtrl_jax.networks.fast.stage import pad, stage
from rtrl_jax.networks.resnet import max_pool

WINDOW = 3


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def pool(x: jax.Array, bias: jax.Array, stride: int, axes: tuple[int, int]) -> jax.Array:
    """Valid max-pooling along two axes that follow each other, plus a bias: the largest stays the largest with it added.

    Args:
      bias: as many axes as x, with 1 or x's size.
    """
    return stage(lambda x, bias: max_pool(x, stride, axes) + bias)(x, bias)


def _remember(x, bias, stride, axes):
    largest, where = stage(lambda x, bias: _with_place(x, bias, stride, axes))(x, bias)
    return largest, (where, *[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (x, bias)])


def _with_place(x, bias, stride, axes):
    """The maxima with the bias, and for each its place in the window, 0 to 8."""
    place = 0
    for rows in _shifted(x, stride, axes[0]):
        for part in _shifted(rows, stride, axes[1]):
            if place == 0:
                largest, where = part, jnp.zeros(part.shape, jnp.int8)
            else:
                larger = part > largest
                where = jax.lax.select(larger, jnp.full_like(where, place), where)
                largest = jax.lax.max(largest, part)
            place += 1
    return largest + bias, where


def _shifted(x, stride, axis):
    reach = (x.shape[axis] - WINDOW) // stride * stride + 1
    return [jax.lax.slice_in_dim(x, i, i + reach, stride, axis) for i in range(WINDOW)]


def _backward(stride, axes, saved, dy):
    where, of_x, of_bias = saved
    dbias = dy.sum(tuple(axis for axis, size in enumerate(of_bias.shape) if size == 1), keepdims=True)
    more = (WINDOW - 1) // stride  # windows before and after the first and last that reach into the image
    margin = [(more, more) if axis in axes else (0, 0) for axis in range(dy.ndim)]
    where, dy = stage(lambda a: pad(a, *margin, value=-1))(where), stage(lambda a: pad(a, *margin))(dy)
    return stage(partial(_gather, stride=stride, axes=axes, more=more, shape=of_x.shape))(where, dy), dbias


def _gather(where, dy, stride, axes, more, shape):
    """Each number of x is in some windows, in a place that its row and column modulo the stride decide."""
    sizes = [where.shape[axis] - more for axis in axes]

    def windows(a, i, j):
        for axis, place, size in zip(axes, (i, j), sizes, strict=True):
            a = jax.lax.slice_in_dim(a, more - place // stride, more - place // stride + size, 1, axis)
        return a

    def of(row, column):
        places = [(i, j) for i in range(row, WINDOW, stride) for j in range(column, WINDOW, stride)]
        of_windows = [(windows(where, i, j) == WINDOW * i + j, windows(dy, i, j)) for i, j in places]
        return sum(jax.lax.select(here, part, jnp.zeros_like(part)) for here, part in of_windows)

    rows = [jnp.stack([of(row, column) for column in range(stride)], axes[1] + 1) for row in range(stride)]
    dx = jnp.stack(rows, axes[0] + 1)  # [..., rows, stride, columns, stride, ...]
    dx = dx.reshape(*shape[: axes[0]], *[size * stride for size in sizes], *shape[axes[1] + 1 :])
    for axis in axes:
        dx = jax.lax.slice_in_dim(dx, 0, shape[axis], 1, axis)
    return dx


pool.defvjp(_remember, _backward)
