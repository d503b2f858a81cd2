"""Deep Q-Network (Mnih et al. 2015) as the paper uses it: section 5, mission row 6.

`update` is all there is to know about learning: one function, to be jitted, from a state and a batch to the next state.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rtrl_jax.agents import losses


class Batch(NamedTuple):
    """Transitions of the delayed semi-MDP (paper Definition 1). B is the batch size."""

    observation: Any  # [B, *observation shape], what action was decided from
    action: Any  # [B] int32
    reward: Any  # [B] float32, summed until the next decision acted
    discount: Any  # [B] float32, 0 where the episode ended
    next_observation: Any  # [B, *observation shape], what the next action was decided from


class State(NamedTuple):
    parameters: Any
    target_parameters: Any
    optimiser: Any
    updates: jax.Array  # [] int32


def make_optimiser(learning_rate: float, gradient_clip: float) -> optax.GradientTransformation:
    """Adam behind a clip of the gradient's global norm."""
    return optax.chain(optax.clip_by_global_norm(gradient_clip), optax.adam(learning_rate))


def init(parameters, optimiser: optax.GradientTransformation) -> State:
    """The state before the first update: the target is a copy."""
    parameters = jax.tree.map(jnp.array, parameters)
    target = jax.tree.map(jnp.copy, parameters)
    return State(parameters, target, optimiser.init(parameters), jnp.zeros((), jnp.int32))


def greedy_action(apply):
    """Returns (parameters, observation [*shape]) -> [] the action of highest value."""

    def act(parameters, observation):
        return jnp.argmax(apply({"params": parameters}, observation[None])[0])

    return act


def update(apply, optimiser: optax.GradientTransformation, target_every: int):
    """Returns (state, batch) -> (state, loss): one step of Q-learning with Huber loss.

    Args:
      apply: a Flax module's `apply`, to [B, actions].
      target_every: updates between two copies to the target network.
    """

    def loss(parameters, target_parameters, batch: Batch):
        q_tm1 = apply({"params": parameters}, batch.observation)
        q_t = apply({"params": target_parameters}, batch.next_observation)
        errors = jax.vmap(losses.q_learning)(q_tm1, batch.action, batch.reward, batch.discount, q_t)
        return jnp.mean(losses.huber(errors))

    def step(state: State, batch: Batch):
        value, gradient = jax.value_and_grad(loss)(state.parameters, state.target_parameters, batch)
        change, optimiser_state = optimiser.update(gradient, state.optimiser, state.parameters)
        parameters = optax.apply_updates(state.parameters, change)
        updates = state.updates + 1
        target = optax.periodic_update(parameters, state.target_parameters, updates, target_every)
        return State(parameters, target, optimiser_state, updates), value

    return step
