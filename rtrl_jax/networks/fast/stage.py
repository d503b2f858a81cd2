"""A part of a program that XLA compiles by itself, so that it neither melts into its neighbours nor is computed for each again.

On a CPU, XLA makes one loop of all the elementwise work between two products. Where a result is read nine times, as an image
is by a sum of shifts, that loop computes it nine times; and where it ends in a margin of zeros, it looks for the margin at each
number instead of using vector instructions. `jax.lax.optimization_barrier` does not help: it is gone before loops are made.
A call that may not be inlined costs a tenth of a microsecond.

Within a stage, functions of `jax.numpy` that are jitted themselves would become stages too: hence `relu` and `pad` below.
"""

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata


def stage(function):
    """The same function of arrays, compiled by itself."""
    compiled = jax.jit(function)

    def call(*arrays):
        with set_xla_metadata(inlineable="false"):
            return compiled(*arrays)

    return call


def relu(x):
    return jax.lax.max(x, jnp.zeros((), x.dtype))


def pad(x, *margins: tuple[int, int], value=0):
    """Args: margins: (before, after) of the first axes."""
    return jax.lax.pad(
        x, jnp.array(value, x.dtype), [(*margin, 0) for margin in margins] + [(0, 0, 0)] * (x.ndim - len(margins))
    )
