"""Ways to compute the same 3x3 convolution. Which is the fastest depends on its shape: `plan` says which is used where.

All take [batch, height, width, inputs] float32 and answer [batch, height, width, outputs]; two rows and columns less if not
`padded`. `shifted_planes` alone has channels before rows: networks of so few filters are kept in that order throughout.
"""

import jax
import jax.numpy as jnp

from rtrl_jax.networks.fast import winograd
from rtrl_jax.networks.fast.stage import stage

WINOGRAD = {"F2": 2, "F4": 4}
PLANES = "planes"
WAYS = ("xla", "F2", "F4", "patches", "shifts")  # of those with channels last
GRADIENT_WAYS = ("xla", "F2", "F4", "patches")  # for filters' gradients


def prepare(kernel, way: str):
    """What a way wants instead of the kernel [3, 3, inputs, outputs]: of numpy if that is."""
    return winograd.filters(kernel, WINOGRAD[way]) if way in WINOGRAD else kernel


def convolve(x: jax.Array, prepared: jax.Array, padded: bool, way: str) -> jax.Array:
    """The convolution, in that way. Args: prepared: of `prepare`."""
    if way in WINOGRAD:
        return winograd.convolve(x, prepared, padded, WINOGRAD[way])
    return {"xla": xla, "patches": patches, "shifts": shifts, PLANES: shifted_planes}[way](x, prepared, padded)


def xla(x: jax.Array, kernel: jax.Array, padded: bool, order: str = "NHWC") -> jax.Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME" if padded else "VALID", dimension_numbers=(order, "HWIO", order)
    )


def patches(x: jax.Array, kernel: jax.Array, padded: bool) -> jax.Array:
    """One matrix product: good where images are small."""
    gathered = _gather(x, padded)
    return (gathered.reshape(-1, gathered.shape[-1]) @ kernel.reshape(gathered.shape[-1], -1)).reshape(
        *gathered.shape[:3], -1
    )


def shifts(x: jax.Array, kernel: jax.Array, padded: bool) -> jax.Array:
    """Sums of the shifted image times numbers, in one loop: good for very few inputs."""
    x = _pad(x, padded, (1, 2))
    rows, columns = x.shape[1] - 2, x.shape[2] - 2

    def add_up(x, kernel):
        return sum(
            x[:, i : i + rows, j : j + columns, c : c + 1] * kernel[i, j, c]
            for i in range(3)
            for j in range(3)
            for c in range(x.shape[3])
        )

    return stage(add_up)(x, kernel)


def shifted_planes(x: jax.Array, kernel: jax.Array, padded: bool) -> jax.Array:
    """The same for [batch, channels, height, width]: good for very few inputs and outputs."""
    x = _pad(x, padded, (2, 3))
    rows, columns = x.shape[2] - 2, x.shape[3] - 2

    def plane(output: int):
        return lambda x, kernel: sum(
            x[:, c, i : i + rows, j : j + columns] * kernel[i, j, c, output]
            for i in range(3)
            for j in range(3)
            for c in range(x.shape[1])
        )

    planes = [stage(plane(output))(x, kernel) for output in range(kernel.shape[3])]
    return stage(lambda *planes: jnp.stack(planes, 1))(*planes)


def filter_gradient(x: jax.Array, dy: jax.Array, padded: bool, way: str) -> jax.Array:
    """The gradient [3, 3, inputs, outputs] in the kernel, given that in the output."""
    if way in WINOGRAD:
        return winograd.filter_gradient(x, dy, padded, WINOGRAD[way])
    if way == "patches":
        gathered, outputs = _gather(x, padded), dy.shape[-1]
        return (gathered.reshape(-1, gathered.shape[-1]).T @ dy.reshape(-1, outputs)).reshape(3, 3, -1, outputs)
    order = "NCHW" if way == PLANES else "NHWC"
    channels = order.index("C")
    kernel = jax.ShapeDtypeStruct((3, 3, x.shape[channels], dy.shape[channels]), x.dtype)
    (gradient,) = jax.linear_transpose(lambda k: xla(x, k, padded, order), kernel)(
        dy
    )  # no stage: XLA would not know it for a convolution
    return gradient


def differentiable(padded: bool, ways: tuple[str, str, str]):
    """(x, kernel) -> y whose gradients are computed in ways of their own.

    Args:
      ways: of the convolution, of its gradient in x (itself a convolution), of that in the kernel.
    """
    forward, to_input, to_kernel = ways

    @jax.custom_vjp
    def apply(x, kernel):
        return convolve(x, prepare(kernel, forward), padded, forward)

    def remember(x, kernel):
        return apply(x, kernel), (x, kernel)

    def backward(saved, dy):
        x, kernel = saved
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        spread = dy if padded else _pad(dy, True, (2, 3) if to_input == PLANES else (1, 2))
        dx = convolve(spread, prepare(turned, to_input), True, to_input)
        return dx, filter_gradient(x, dy, padded, to_kernel)

    apply.defvjp(remember, backward)
    return apply


def _gather(x: jax.Array, padded: bool) -> jax.Array:
    """[batch, height, width, 9 * inputs], what lies under the kernel at each place."""
    x = _pad(x, padded, (1, 2))
    rows, columns = x.shape[1] - 2, x.shape[2] - 2
    gather = stage(
        lambda x: jnp.concatenate([x[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)], -1)
    )
    return gather(x)


def _pad(x: jax.Array, padded: bool, axes: tuple[int, int]) -> jax.Array:
    if not padded:
        return x
    return stage(lambda x: jnp.pad(x, [(1, 1) if axis in axes else (0, 0) for axis in range(4)]))(x)
