"""Ways to compute the same 3x3 convolution. Which is the fastest depends on its shape: `plan` says which is used where.

All take [height, width, batch, inputs] float32 and answer [height, width, batch, outputs]; two rows and columns less if not
`padded`. The way "planes" alone has [batch, channels, height, width]: networks of so few filters keep that order throughout.
"""

from functools import partial

import jax
import jax.numpy as jnp

from rtrl_jax.networks.fast import native, winograd
from rtrl_jax.networks.fast.stage import pad, relu, stage

WINOGRAD = {"F2": 2, "F4": 4}
PLANES = "planes"
DIRECT, FUSED = (
    "direct",
    "fused",
)  # of our own (`native`), in acting alone: by the definition, and Winograd's F(4x4, 3x3)
OWN = (DIRECT, FUSED)
WAYS = ("xla", "F2", "F4", "patches", "shifts")  # of those with channels last
ACTING_WAYS = (*WAYS, *OWN)
PREPARED_WAYS = (*WINOGRAD, *OWN)  # whose filters are prepared in advance
GRADIENT_WAYS = ("xla", "F2", "F4", "patches")  # for filters' gradients


def prepare(kernel, way: str, dtype: str = "float32"):
    """What a way wants instead of the kernel [3, 3, inputs, outputs]: of numpy if that is.

    Args:
      dtype: of Winograd's and our own products.
    """
    if way == DIRECT:
        return native.pack(kernel, dtype)
    if way == FUSED:
        return native.pack_transformed(winograd.filters(kernel, 4))
    return winograd.filters(kernel, WINOGRAD[way]).astype(jnp.dtype(dtype)) if way in WINOGRAD else kernel


def add_all(y, *others):
    return sum(others, y)


def biased_relu(y, bias):
    return relu(y + bias)


# Jitted, so that layers which are alike are traced once: a second less before a learner's first update.
@partial(jax.jit, static_argnames=("padded", "way", "after", "rectify", "outputs"))
def convolve(
    x: jax.Array,
    prepared: jax.Array,
    padded: bool,
    way: str,
    after=add_all,
    *others,
    rectify: bool = False,
    outputs: int | None = None,
) -> jax.Array:
    """after(convolution of x, *others), in that way.

    Args:
      prepared: of `prepare`.
      after: a function of single numbers; Winograd's ways compute it in passing, without another walk through memory. Ours
        knows `add_all` and `biased_relu`.
      others: of the result's shape, or [outputs].
      rectify: whether the convolution is of relu(x) instead.
      outputs: how many; our own ways have to be told, as their filters are filled up.
    """
    if way in OWN:
        return native.convolve(x, prepared, padded, rectify, outputs, *others, relu=after is biased_relu)
    if way in WINOGRAD:
        return winograd.convolve(x, prepared, padded, WINOGRAD[way], after, *others, rectify=rectify)
    x = stage(relu)(x) if rectify else x
    y = {"xla": xla, "patches": patches, "shifts": shifts, PLANES: shifted_planes}[way](x, prepared, padded)
    if not others:
        return y
    return stage(after)(y, *[a.reshape(-1, 1, 1) if way == PLANES and a.ndim == 1 else a for a in others])


def xla(x: jax.Array, kernel: jax.Array, padded: bool, order: str = "HWNC") -> jax.Array:
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
    x = _pad(x, padded, (0, 1))
    rows, columns = x.shape[0] - 2, x.shape[1] - 2

    def add_up(x, kernel):
        return sum(
            x[i : i + rows, j : j + columns, :, c : c + 1] * kernel[i, j, c]
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


@partial(jax.jit, static_argnames=("padded", "way", "rectify"))
def filter_gradient(x: jax.Array, dy: jax.Array, padded: bool, way: str, rectify: bool = False) -> jax.Array:
    """The gradient [3, 3, inputs, outputs] in the kernel, given that in the output."""
    if way in WINOGRAD:
        return winograd.filter_gradient(x, dy, padded, WINOGRAD[way], rectify)
    x = stage(relu)(x) if rectify else x
    if way == "patches":
        gathered, outputs = _gather(x, padded), dy.shape[-1]
        return (gathered.reshape(-1, gathered.shape[-1]).T @ dy.reshape(-1, outputs)).reshape(3, 3, -1, outputs)
    order = "NCHW" if way == PLANES else "HWNC"
    channels = order.index("C")
    kernel = jax.ShapeDtypeStruct((3, 3, x.shape[channels], dy.shape[channels]), x.dtype)
    # No stage: XLA would not know it for a convolution.
    (gradient,) = jax.linear_transpose(lambda k: xla(x, k, padded, order), kernel)(dy)
    return gradient


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def differentiable(padded: bool, ways: tuple[str, str, str], rectify: bool, x, kernel, *others):
    """The convolution plus `others`, with gradients computed in ways of their own.

    Args:
      ways: of the convolution, of its gradient in x (itself a convolution), of that in the kernel.
    """
    return convolve(x, prepare(kernel, ways[0]), padded, ways[0], add_all, *others, rectify=rectify)


def _remember(padded, ways, rectify, x, kernel, *others):
    shapes = [a.shape for a in others]
    return differentiable(padded, ways, rectify, x, kernel, *others), (x, kernel, shapes)


def _backward(padded, ways, rectify, saved, dy):
    x, kernel, shapes = saved
    _, to_input, to_kernel = ways
    planes = to_input == PLANES
    turned = prepare(kernel[::-1, ::-1].swapaxes(2, 3), to_input)
    spread = dy if padded else _pad(dy, True, (2, 3) if planes else (0, 1))
    mask = (_where_positive, x) if rectify else ()
    dx = convolve(spread, turned, True, to_input, *mask)
    dkernel = filter_gradient(x, dy, padded, to_kernel, rectify)
    of_bias = (0, 2, 3) if planes else (0, 1, 2)
    return dx, dkernel, *[dy if len(shape) == 4 else dy.sum(of_bias) for shape in shapes]


differentiable.defvjp(_remember, _backward)


def _where_positive(dy, x):
    return jax.lax.select(x > 0, dy, jnp.zeros_like(dy))


def _gather(x: jax.Array, padded: bool) -> jax.Array:
    """[height, width, batch, 9 * inputs], what lies under the kernel at each place."""
    x = _pad(x, padded, (0, 1))
    rows, columns = x.shape[0] - 2, x.shape[1] - 2
    gather = stage(
        lambda x: jnp.concatenate([x[i : i + rows, j : j + columns] for i in range(3) for j in range(3)], -1)
    )
    return gather(x)


def _pad(x: jax.Array, padded: bool, axes: tuple[int, int]) -> jax.Array:
    if not padded:
        return x
    return stage(lambda x: pad(x, *[(1, 1) if axis in axes else (0, 0) for axis in range(4)]))(x)
