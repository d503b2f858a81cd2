"""Deep Q-Network (Mnih et al. 2015) as the paper uses it (section 5, Implementation Details)."""

import jax
import jax.numpy as jnp

from rtrl_jax.agents import losses
from rtrl_jax.agents.agent import Agent, Batch, batch_of_one, signals


def make(apply) -> Agent:
    """Args: apply: a Flax module's `apply`, from [B, *observation shape], or `networks.Seen`, to [B, actions]."""

    def act(parameters, observation, seed):
        del seed  # nothing is drawn
        return jnp.argmax(apply({"params": parameters}, batch_of_one(observation))[0])

    def loss(parameters, target_parameters, batch: Batch, seed):
        """Mean Huber loss of Q-learning."""
        del seed
        q_tm1 = apply({"params": parameters}, batch.observation)
        q_t = apply({"params": target_parameters}, batch.next_observation)
        errors = jax.vmap(losses.q_learning)(q_tm1, batch.action, batch.reward, batch.discount, q_t)
        return jnp.mean(batch.weight * losses.huber(errors)), signals(q_tm1, batch.action, errors)

    return Agent(act, loss)
