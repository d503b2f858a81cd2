"""What the numbers of an observation are to a network: scaled by what is known of them, and by running statistics if asked for.

Statistics lie among the parameters, under `STATISTICS`: so they are published with them, in the same flip of a snapshot, kept in
the same checkpoint, and whoever acts, learns or evaluates on some parameters has the statistics that belong to them. No gradient
reaches them; `networks.statistics` moves them.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

STATISTICS = "statistics"
LEAST_VARIANCE, FARTHEST = 1e-8, 10.0  # as in OpenAI's baselines: deviations beyond that say no more


class Inputs(NamedTuple):
    """Plain values, known when a program is compiled; of the last axis, or one for all of it."""

    offset: tuple[float, ...] = ()  # (): 0
    divisor: tuple[float, ...] = ()  # (): 1
    measured: tuple[bool, ...] = ()  # which have running statistics; (): none, and there are none


AS_THEY_ARE, PIXELS = Inputs(), Inputs(divisor=(255.0,))


def scaled(observation: jax.Array, inputs: Inputs, axis: int = -1) -> jax.Array:
    """(x − offset) / divisor in float32, without running statistics. Args: axis: where channels or features are."""
    x = observation.astype(jnp.float32)
    if inputs.offset:
        x = x - _along(inputs.offset, axis, x.ndim)
    return x / _along(inputs.divisor, axis, x.ndim) if inputs.divisor else x


def _along(values: tuple, axis: int, ndim: int):
    if len(values) == 1:
        return values[0]
    shape = [1] * ndim
    shape[axis] = -1
    return jnp.asarray(values).reshape(shape)


def standardised(x: jax.Array, statistics: dict, inputs: Inputs, axis: int = -1) -> jax.Array:
    """What is `scaled`, in deviations from its mean; as it is before anything was counted, and where nothing is measured."""
    if not inputs.measured:
        return x

    def along(values):
        return values.reshape([-1 if place == axis % x.ndim else 1 for place in range(x.ndim)])

    own = jax.lax.stop_gradient(statistics)
    deviation = jnp.sqrt(jnp.maximum(own["variance"], LEAST_VARIANCE))
    moved = jnp.clip((x - along(own["mean"])) / along(deviation), -FARTHEST, FARTHEST)
    return jnp.where(along(jnp.asarray(inputs.measured) & (own["count"] > 0)), moved, x)


class Statistics(nn.Module):
    """Of the numbers on the last axis: their mean, variance, and over how many observations. All zeros at first."""

    inputs: Inputs

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        sizes = {"mean": x.shape[-1], "variance": x.shape[-1], "count": 1}
        own = {name: self.param(name, nn.initializers.zeros_init(), (size,)) for name, size in sizes.items()}
        return standardised(x, own, self.inputs)


def taken_in(observation: jax.Array, inputs: Inputs) -> jax.Array:
    """How every network begins; called inside the `__call__` of the module that the statistics belong to.

    [batch, …] of any type -> the same shape in float32.
    """
    x = scaled(observation, inputs)
    return Statistics(inputs, name=STATISTICS)(x) if inputs.measured else x
