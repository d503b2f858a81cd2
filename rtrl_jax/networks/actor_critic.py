"""A policy's numbers and twin values of actions, for agents whose actions are vectors of real numbers."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from rtrl_jax.networks.encoder import masked
from rtrl_jax.networks.heads import Heads, answer, normalised
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.networks.inputs import AS_THEY_ARE, STATISTICS, Inputs, Statistics, scaled
from rtrl_jax.pending import parts

UNITS = 256  # of each hidden layer at width 1 (Haarnoja et al. 2018b, appendix D)
TWINS = 2


class ActorCritic(nn.Module):
    """Observations -> [batch, 2 · size], the policy's means and logarithms of deviations; with actions their values [2, batch].

    Of images its `sight` makes features first, which all see. Critics teach it: no gradient of the policy's reaches it (Yarats
    et al. 2021). The policy falls into a trunk and a head as every network does, see `heads.answer`; critics, whom nobody asks in
    time, see what its head does beside the observation.
    """

    size: int  # numbers in an action
    units: int = UNITS
    heads: Heads = Heads()
    sight: nn.Module | None = None  # [batch, *image] -> [batch, features]; None where observations are vectors
    inputs: Inputs = AS_THEY_ARE  # what the numbers of these are; those of images are the sight's

    @nn.compact
    def __call__(self, observation, action: jax.Array | None = None) -> jax.Array:
        observation, seen = parts(observation)
        sees = self._sight()
        features = sees(observation)
        self.param("log_temperature", nn.initializers.zeros, ())  # the agent's, who learns it
        if self.is_initializing():
            self._values(sees, features, seen, jnp.zeros((len(features), self.size)))
        if action is not None:
            return self._values(sees, features, seen, action)
        x = features if self.sight is None else jax.lax.stop_gradient(features)
        x = Relu()(normalised(nn.Dense(self.units, name="policy")(x), "policy", self.heads))
        return answer(x, seen, 2 * self.size, self.units, self.heads)

    def _sight(self):
        """From observations to the features that all see."""
        if self.sight is not None:
            return self.sight
        own = Statistics(self.inputs, name=STATISTICS) if self.inputs.measured else lambda x: x
        return lambda observation: own(scaled(observation, self.inputs))

    def _values(self, sees, features, seen, action) -> jax.Array:
        x = [features, action]
        if seen is not None:
            x.append(masked(seen.told, self.heads.pending.actions))
            x += [sees(seen.newest)] if self.heads.pending.reflex else []
        x = jnp.concatenate(x, axis=1)
        return jnp.stack([Critic(self.units, self.heads, name=f"critic_{twin}")(x) for twin in range(TWINS)])


class Critic(nn.Module):
    """[batch, numbers] -> [batch]."""

    units: int
    heads: Heads

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for name in ("hidden_0", "hidden_1"):
            x = Relu()(normalised(nn.Dense(self.units, name=name)(x), name, self.heads))
        return nn.Dense(1, name="values")(x)[:, 0]
