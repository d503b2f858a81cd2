"""A small multilayer perceptron for environments whose observations are vectors."""

import flax.linen as nn
import jax


class MLP(nn.Module):
    """[batch, features] float32 -> [batch, actions] float32."""

    actions: int
    width: float = 1.0

    @nn.compact
    def __call__(self, observation: jax.Array) -> jax.Array:
        x = observation
        for _ in range(2):
            x = nn.relu(nn.Dense(max(1, int(128 * self.width)))(x))
        return nn.Dense(self.actions)(x)
