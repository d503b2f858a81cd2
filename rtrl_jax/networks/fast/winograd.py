"""Winograd's fast 3x3 convolution F(m x m, 3x3): tiles of m x m outputs for (m + 2)² products a channel pair, not 9 m².

Lavin and Gray 2016: with the matrices below, a tile of outputs is Aᵀ [(G k Gᵀ) ⊙ (Bᵀ d B)] A, where k is a filter and d the
(m + 2)² inputs under the tile. The products over all tiles and channels are then (m + 2)² matrix products. F(2) makes 2.25 times
fewer multiplications than the definition, F(4) 4 times fewer, at relative errors of about 1e-6 and 1e-5.

Each transform is two passes of additions over whole arrays, one for each side of its matrix, and each pass a `stage`. Images
are [height, width, batch, channels]: rows and columns are taken in strides, and a whole batch of numbers lies side by side
under each, which is what vector instructions want (four times faster with 16 channels than with the batch in front).
"""

import jax
import jax.numpy as jnp
import numpy as np

from rtrl_jax.networks.fast.stage import pad, relu, stage

LARGE = 16 << 20  # bytes of filters that do not stay in a cache
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


def convolve(x: jax.Array, transformed: jax.Array, padded: bool, m: int, after, *others, rectify: bool) -> jax.Array:
    """`convolution.convolve`. Args: transformed: of `filters`; products are of numbers of its dtype, sums float32."""
    (height, width), batch = _output_size(x, padded), x.shape[2]
    rows, columns = -(-height // m), -(-width // m)
    products = _multiply(_tiles(x, padded, m, rectify, transformed.dtype), transformed)
    outputs = products.shape[-1]

    def finish(y, *others):
        y = jnp.stack(_combine(_OUTPUT[m], y.swapaxes(0, 1)), 3).swapaxes(0, 1)
        # [rows, m rows, columns, m columns, batch * outputs]
        return after(y.reshape(rows * m, columns * m, -1)[:height, :width], *others)

    y = stage(lambda parts: jnp.stack(_combine(_OUTPUT[m], parts)))(products.reshape(m + 2, -1))
    y = y.reshape(m, m + 2, rows, columns, batch * outputs)
    y = stage(finish)(y, *[jnp.tile(a, batch) if a.ndim == 1 else _flat(a) for a in others])
    return y.reshape(height, width, batch, outputs)


def _multiply(tiles: jax.Array, transformed: jax.Array) -> jax.Array:
    """[(m + 2)², tiles * batch, outputs] float32.

    XLA's float32 products with large filters are up to a third faster if the tiles are turned; with small ones that costs more.
    """
    if transformed.nbytes <= LARGE or transformed.dtype != jnp.float32:
        return jnp.einsum("tpi,tio->tpo", tiles, transformed, preferred_element_type=jnp.float32)
    turned = stage(lambda tiles: tiles.swapaxes(1, 2))(tiles)
    return jnp.einsum("tip,tio->tpo", turned, transformed, preferred_element_type=jnp.float32)


def filter_gradient(x: jax.Array, dy: jax.Array, padded: bool, m: int, rectify: bool) -> jax.Array:
    """`convolution.filter_gradient`."""
    height, width, _, outputs = dy.shape
    dy = stage(lambda dy: pad(dy, (0, -height % m), (0, -width % m)))(_flat(dy))
    d = stage(lambda d: jnp.stack(_combine(_OUTPUT[m].T, [d[i::m] for i in range(m)])))(dy.reshape(dy.shape[0], -1))
    d = d.reshape(*d.shape[:2], *dy.shape[1:])
    d = stage(lambda d: jnp.stack(_combine(_OUTPUT[m].T, [d[:, :, j::m] for j in range(m)]), 1))(d)
    tiles = _tiles(x, padded, m, rectify, jnp.float32)
    transformed = jnp.einsum("tpi,tpo->tio", tiles, d.reshape((m + 2) ** 2, -1, outputs))
    back = np.kron(_FILTER[m], _FILTER[m]).T
    return (back @ transformed.reshape((m + 2) ** 2, -1)).reshape(3, 3, -1, outputs)


def _output_size(x: jax.Array, padded: bool) -> tuple[int, int]:
    less = 0 if padded else 2
    return x.shape[0] - less, x.shape[1] - less


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(*x.shape[:2], -1)


def _tiles(x: jax.Array, padded: bool, m: int, rectify: bool, dtype) -> jax.Array:
    """[(m + 2)², tiles * batch, inputs], the transformed inputs."""
    height, width = _output_size(x, padded)
    before, rows, columns = int(padded), -(-height // m), -(-width // m)
    margins = [(before, n * m + 2 - size - before) for n, size in ((rows, x.shape[0]), (columns, x.shape[1]))]
    last_row, last_column = (rows - 1) * m + 1, (columns - 1) * m + 1

    def surround(x):
        return pad(relu(x) if rectify else x, *margins)

    def in_rows(x):
        return jnp.stack(_combine(_INPUT[m], [x[i : i + last_row : m] for i in range(m + 2)]))

    def in_columns(y):
        tiles = _combine(_INPUT[m], [y[:, :, j : j + last_column : m] for j in range(m + 2)])
        return jnp.stack([tile.astype(dtype) for tile in tiles], 1)

    surrounded = stage(surround)(_flat(x))
    y = stage(in_rows)(surrounded.reshape(surrounded.shape[0], -1))
    return stage(in_columns)(y.reshape(m + 2, rows, *surrounded.shape[1:])).reshape((m + 2) ** 2, -1, x.shape[-1])


def _combine(matrix: np.ndarray, parts) -> list[jax.Array]:
    """The product of a small matrix and a list of arrays, as additions, without those of zeros."""
    return [sum(float(factor) * part for factor, part in zip(row, parts, strict=True) if factor) for row in matrix]
