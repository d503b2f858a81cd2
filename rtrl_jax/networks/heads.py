"""From features to action values: a plain head, or the dueling, noisy and distributional parts of Rainbow's, in any mix."""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rtrl_jax.networks.encoder import Encoder
from rtrl_jax.networks.eye import Eye
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.networks.inputs import AS_THEY_ARE, Inputs
from rtrl_jax.pending import Pending, Seen

SIGMA_0 = 0.5  # of the noisy layers; Fortunato et al. 2018 for the factorised noise
HIDDEN = 512  # units of a convolutional network's dense layers
LAST = ("values", "Dense_2")  # what the last layer is called, in each stream after the stream's name


class Heads(NamedTuple):
    """What a network ends in."""

    dueling: bool = False  # a stream for the state's value and one for the actions' advantages (Wang et al. 2016)
    noisy: bool = False  # noisy instead of dense layers; then `apply` needs rngs={"noise": key}
    atoms: int = 1  # of a categorical distribution of returns (Bellemare et al. 2017); 1: values only
    shared: bool = False  # a dense layer before all of it, as large as theirs, as the paper's Rainbow has
    normalisation: str = "none"  # layer normalisation (Ba et al. 2016): features, hidden or, both, layer
    pending: Pending | None = None  # what it is told besides: then it falls into a trunk and a head
    newest: Inputs = AS_THEY_ARE  # what the numbers of the newest observation are, if the head sees it


VALUES = Heads()  # none of it


class NoisyDense(nn.Module):
    """[batch, inputs] -> [batch, features]: a dense layer with factorised Gaussian noise (Fortunato et al. 2018).

    The noise is drawn once a call from the "noise" generator, and is so the same for the whole batch.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        bound = 1 / math.sqrt(x.shape[-1])

        def uniform(key, shape):
            return jax.random.uniform(key, shape, jnp.float32, -bound, bound)

        sigma = nn.initializers.constant(SIGMA_0 * bound)
        mu_kernel = self.param("mu_kernel", uniform, (x.shape[-1], self.features))
        mu_bias = self.param("mu_bias", uniform, (self.features,))
        sigma_kernel = self.param("sigma_kernel", sigma, (x.shape[-1], self.features))
        sigma_bias = self.param("sigma_bias", sigma, (self.features,))
        normal = jax.random.normal(self.make_rng("noise"), (x.shape[-1] + self.features,))
        noise_in, noise_out = jnp.split(jnp.sign(normal) * jnp.sqrt(jnp.abs(normal)), [x.shape[-1]])
        # (sigma * outer(in, out)) applied to x, without the matrix of noise.
        return x @ mu_kernel + mu_bias + ((x * noise_in) @ sigma_kernel + sigma_bias) * noise_out


def normalised(y: jax.Array, name: str, heads: Heads, kind: str = "hidden") -> jax.Array:
    """After the layer of that name, if layers of this kind are. Called inside the `__call__` of their module."""
    return nn.LayerNorm(name=f"{name}_norm")(y) if heads.normalisation in (kind, "layer") else y


def answer(
    x: jax.Array, seen: Seen | None, actions: int, hidden: int, heads: Heads, names=("hidden", "values")
) -> jax.Array:
    """How every network ends; called inside the `__call__` of the module that the layers belong to.

    Without `heads.pending`: its `action_values`. With it the trunk has one more dense layer, and what follows, a few small
    layers at every width, is the head, which is told something: `Head` computes it alone.

    Args:
      x: [batch, features].
      seen: what is told; None: nothing is told yet.

    Returns:
      As `action_values`; but with `heads.pending` and nothing told the trunk's own features, [batch, hidden] float32.
    """
    if heads.pending is None:
        return action_values(x, actions, hidden, heads, names)
    x = normalised(x, "features", heads, "features")
    x = Relu()(normalised(nn.Dense(hidden, name="trunk")(x), "trunk", heads))
    return x if seen is None else _fused(x, seen, actions, hidden, heads, names)


class Head(nn.Module):
    """What comes after the trunk of a network with the same `heads`, whose parameters have the same names there.

    `Seen`, of the trunk's features -> as `action_values`.
    """

    actions: int
    hidden: int
    heads: Heads
    names: tuple[str, str] = ("hidden", "values")

    @nn.compact
    def __call__(self, seen: Seen) -> jax.Array:
        return _fused(seen.observation, seen, self.actions, self.hidden, self.heads, self.names)


def _fused(x, seen: Seen, actions: int, hidden: int, heads: Heads, names) -> jax.Array:
    pending = heads.pending
    beside = [Encoder(pending.actions, pending.encoding, name="pending")(seen.told)]
    if pending.reflex:
        beside.append(Eye(heads.newest, name="eye")(seen.newest))
    x = jnp.concatenate([x, *beside], axis=1)
    rest = "none" if heads.normalisation == "features" else heads.normalisation.replace("layer", "hidden")
    return action_values(x, actions, hidden, heads._replace(normalisation=rest), names)


def action_values(x: jax.Array, actions: int, hidden: int, heads: Heads, names=("hidden", "values")) -> jax.Array:
    """The last two layers of a network, or three; called inside the `__call__` of the module that they belong to.

    Args:
      x: [batch, features].
      hidden: units of the layer before the last, in each stream.
      names: of the two layers in the module.

    Returns:
      [batch, actions] values with one atom, else [batch, actions, atoms] logits.
    """
    dense = NoisyDense if heads.noisy else nn.Dense

    def stream(prefix: str, outputs: int) -> jax.Array:
        y = Relu()(normalised(dense(hidden, name=prefix + names[0])(x), prefix + names[0], heads))
        return dense(outputs * heads.atoms, name=prefix + names[1])(y).reshape(-1, outputs, heads.atoms)

    x = normalised(x, "features", heads, "features")
    if heads.shared:
        x = Relu()(normalised(nn.Dense(hidden, name="shared")(x), "shared", heads))
    if heads.dueling:
        advantages = stream("advantage_", actions)
        q = stream("state_", 1) + advantages - advantages.mean(1, keepdims=True)
    else:
        q = stream("", actions)
    return q[..., 0] if heads.atoms == 1 else q
