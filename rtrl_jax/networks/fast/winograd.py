"""Winograd's fast 3x3 convolution F(m x m, 3x3): tiles of m x m outputs for (m + 2)² products a channel pair, not 9 m².

Lavin and Gray 2016: with the matrices below, a tile of outputs is Aᵀ [(G k Gᵀ) ⊙ (Bᵀ d B)] A, where k is a filter and d the
(m + 2)² inputs under the tile. The products over all tiles and channels are then (m + 2)² matrix products. F(2) makes 2.25 times
fewer multiplications than the definition, F(4) 4 times fewer, at relative errors of about 1e-6 and 1e-5.

Each transform is two passes of additions over whole arrays, one for each side of its matrix, and each pass a `stage`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from rtrl_jax.networks.fast.stage import stage

_INPUT = {  # Bᵀ [m + 2, m + 2]
    2: np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.float32),
    4: np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ],
        np.float32,
    ),
}
_OUTPUT = {  # Aᵀ [m, m + 2]
    2: np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float32),
    4: np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32),
}
_FILTER = {  # G [m + 2, 3]
    2: np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]], np.float32),
    4: np.array(
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ],
        np.float32,
    ),
}


def filters(kernel, m: int):
    """[3, 3, inputs, outputs] -> [(m + 2)², inputs, outputs] transformed filters; numpy in, numpy out, and JAX likewise."""
    both_sides = np.kron(_FILTER[m], _FILTER[m])
    return (both_sides @ kernel.reshape(9, -1)).reshape(-1, *kernel.shape[2:])


def convolve(x: jax.Array, transformed: jax.Array, padded: bool, m: int) -> jax.Array:
    """[batch, height, width, inputs] -> [batch, height, width, outputs]; two rows and columns less if not `padded`.

    Args: transformed: of `filters`.
    """
    batch, height, width = _output_shape(x, padded)
    rows, columns = -(-height // m), -(-width // m)
    products = jnp.einsum("tpi,tio->tpo", _tiles(x, padded, m), transformed)
    products = products.reshape(m + 2, m + 2, batch, rows, columns, -1)
    y = stage(lambda parts: jnp.stack(_combine(_OUTPUT[m], parts)))(products)
    y = stage(lambda parts: jnp.stack(_combine(_OUTPUT[m], parts.swapaxes(0, 1))))(y)
    # [m columns, m rows, batch, rows, columns, outputs]
    y = stage(lambda y: y.transpose(2, 3, 1, 4, 0, 5))(y).reshape(batch, rows * m, columns * m, -1)
    return y[:, :height, :width]


def filter_gradient(x: jax.Array, dy: jax.Array, padded: bool, m: int) -> jax.Array:
    """[3, 3, inputs, outputs], the gradient of `convolve` in its untransformed filters. Args: dy: of its output."""
    _, height, width, outputs = dy.shape
    dy = stage(lambda dy: jnp.pad(dy, ((0, 0), (0, -height % m), (0, -width % m), (0, 0))))(dy)
    d = stage(lambda dy: jnp.stack(_combine(_OUTPUT[m].T, [dy[:, i::m] for i in range(m)])))(dy)
    d = stage(lambda d: jnp.stack(_combine(_OUTPUT[m].T, [d[:, :, :, j::m] for j in range(m)]), 1))(d)
    transformed = jnp.einsum("tpi,tpo->tio", _tiles(x, padded, m), d.reshape((m + 2) ** 2, -1, outputs))
    back = np.kron(_FILTER[m], _FILTER[m]).T
    return (back @ transformed.reshape((m + 2) ** 2, -1)).reshape(3, 3, -1, outputs)


def _output_shape(x: jax.Array, padded: bool) -> tuple[int, int, int]:
    less = 0 if padded else 2
    return x.shape[0], x.shape[1] - less, x.shape[2] - less


def _tiles(x: jax.Array, padded: bool, m: int) -> jax.Array:
    """[(m + 2)², tiles, inputs], the transformed inputs."""
    batch, height, width = _output_shape(x, padded)
    before, rows, columns = int(padded), -(-height // m), -(-width // m)
    margins = [(before, n * m + 2 - size - before) for n, size in ((rows, x.shape[1]), (columns, x.shape[2]))]
    x = stage(lambda x: jnp.pad(x, ((0, 0), *margins, (0, 0))))(x)
    last_row, last_column = (rows - 1) * m + 1, (columns - 1) * m + 1

    def in_rows(x):
        return jnp.stack(_combine(_INPUT[m], [x[:, i : i + last_row : m] for i in range(m + 2)]))

    def in_columns(y):
        return jnp.stack(_combine(_INPUT[m], [y[:, :, :, j : j + last_column : m] for j in range(m + 2)]), 1)

    return stage(in_columns)(stage(in_rows)(x)).reshape((m + 2) ** 2, batch * rows * columns, -1)


def _combine(matrix: np.ndarray, parts) -> list[jax.Array]:
    """The product of a small matrix and a list of arrays, as additions, without those of zeros."""
    return [sum(float(factor) * part for factor, part in zip(row, parts, strict=True) if factor) for row in matrix]
