"""Hidden units that can be looked at: the one relu of all networks, and the share of units that a batch leaves inactive.

A hidden unit is an output of a relu: in a dense layer a number, in a convolution a channel, all places of it together. It is
inactive on a batch if it is zero in every place of every observation: then no gradient passes through it, whatever the loss. That
is a dormant neuron of Sokar et al. 2023 with threshold 0. A threshold above 0 would compare a unit with its layer's mean, which
says less of channels whose scales differ, and it needs a number that nobody can defend.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

SOWN = "intermediates"  # Flax's own collection: nothing is kept there unless `apply` is called with mutable=[SOWN]


class Relu(nn.Module):
    """max(x, 0), which can be looked at: see `inactive`. Units are on the last axis."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.relu(x)
        self.sow(SOWN, "units", x)
        return x


class Inactive(NamedTuple):
    """Shares, 0 … 1; NaN where there are no such units."""

    all: jax.Array  # [] of all hidden units
    channels: jax.Array  # [] of those in convolutions


def inactive(apply):
    """Returns (parameters, observation [B, *observation shape], seed) -> `Inactive`, which can be jitted.

    Args:
      apply: a Flax module's `apply` whose relus are `Relu`, or one of `networks.fast`.
    """

    def compute(parameters, observation, seed) -> Inactive:
        noise = {"noise": jax.random.key(seed)}
        _, seen = apply({"params": parameters}, observation, rngs=noise, mutable=[SOWN])
        relus = jax.tree.leaves(seen[SOWN])
        idle = [(x.max(range(x.ndim - 1)) <= 0).sum() for x in relus]
        shares = []
        for chosen in (list(range(len(relus))), [i for i, x in enumerate(relus) if x.ndim > 2]):
            units = sum(relus[i].shape[-1] for i in chosen)
            shares.append(sum(idle[i] for i in chosen) / jnp.float32(units) if units else jnp.float32(jnp.nan))
        return Inactive(*shares)

    return compute
