"""An agent of values for actions that are a choice each from several lists: it has a value for every combination of them."""

import jax.numpy as jnp

from rtrl_jax.actions import Vector
from rtrl_jax.agents.agent import Agent, Batch


def over_combinations(agent: Agent, actions: Vector) -> Agent:
    """Args: agent: of one value for each of `math.prod(actions.choices)` actions, numbered as rows of an array are."""
    low = jnp.asarray(actions.low, jnp.int32)

    def act(parameters, observation, seed):
        number = agent.act(parameters, observation, seed)
        return jnp.stack(jnp.unravel_index(number, actions.choices)).astype(jnp.int32) + low

    def loss(parameters, target_parameters, batch: Batch, seed):
        number = jnp.ravel_multi_index(tuple((batch.action - low).T), actions.choices, mode="clip")
        return agent.loss(parameters, target_parameters, batch._replace(action=number), seed)

    return Agent(act, loss)
