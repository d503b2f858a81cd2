"""What every agent is: two pure functions, `act` and `loss`, and one step of learning made of them.

`dqn`, `rainbow` and `sac` make an `Agent`; everything else, learners and actors alike, knows no more of it than stands here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


class OneStep(NamedTuple):
    """What comes of decisions by the time of the next ones, where a `Batch` looks n decisions ahead."""

    reward: Any  # [B] float32
    discount: Any  # [B] float32
    next_observation: Any  # [B, *observation shape]


class Batch(NamedTuple):
    """Transitions of the delayed semi-MDP (paper Definition 1). B is the batch size.

    An observation is an array, or `pending.Seen` where the agent is told actions as well.
    """

    observation: Any  # [B, *observation shape], what action was decided from
    action: Any  # [B] int32, or of vectors [B, size]
    reward: Any  # [B] float32, summed (and discounted by decision) until the decision that next_observation belongs to
    discount: Any  # [B] float32, 0 where the episode ended
    next_observation: Any  # [B, *observation shape], what that later action was decided from
    weight: Any  # [B] float32, importance weights; 1 where sampling was uniform
    one_step: Any = None  # `OneStep` of the same decisions, if the agent's loss has them too


def batch_of_one(observation):
    """[*shape], or several arrays as one observation -> [1, *shape] each."""
    return jax.tree.map(lambda leaf: leaf[None], observation)


class Agent(NamedTuple):
    """The functions are pure and can be jitted. `seed` is a uint32 [] for agents that draw random numbers."""

    act: Callable  # (parameters, observation [*shape], seed) -> the greedy action, [] int32 or [size]
    loss: Callable  # (parameters, target_parameters, Batch, seed) -> (loss [], Signals)
    explore: Callable | None = (
        None  # as `act`: what acts while it learns, of a policy that is drawn from; None: the greedy action
    )

    @property
    def acts(self) -> Callable:
        """What acts in a run."""
        return self.explore or self.act


class Signals(NamedTuple):
    """What a loss says of its batch besides. Means are over the batch, unweighted."""

    errors: jax.Array  # [B] sizes of the errors, for priorities
    q: jax.Array  # [] mean value of the actions that were taken
    target_q: jax.Array  # [] mean of what these values are drawn to
    td_error: jax.Array  # [] mean size of the difference


def signals(q_tm1: jax.Array, action: jax.Array, errors: jax.Array) -> Signals:
    """Of an agent of values. Args: q_tm1: [B, actions]. action: [B]. errors: [B] temporal-difference errors."""
    q, sizes = jnp.take_along_axis(q_tm1, action[:, None], 1)[:, 0], jnp.abs(errors)
    return Signals(sizes, q.mean(), (q + errors).mean(), sizes.mean())


class State(NamedTuple):
    parameters: Any
    target_parameters: Any
    optimiser: Any
    updates: jax.Array  # [] int32


def make_optimiser(
    learning_rate: float, gradient_clip: float | None, *, warm_up: int = 0, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Adam behind a clip of the gradient's global norm, if there is one.

    Args:
      warm_up: updates over which the learning rate rises, in equal steps, to what it then is.
      epsilon: Adam's, added to the root of a gradient's mean square.
    """
    clip = optax.identity() if gradient_clip is None else optax.clip_by_global_norm(gradient_clip)
    optimiser = optax.chain(clip, optax.adam(learning_rate, eps=epsilon))
    return _warmed_up(optimiser, warm_up) if warm_up else optimiser


def _warmed_up(optimiser: optax.GradientTransformation, updates: int) -> optax.GradientTransformation:
    """Its changes times n / `updates` in the nth of the first ones. Adam counts them: the state is the same with and without."""

    def update(grads, state, parameters=None):
        change, state = optimiser.update(grads, state, parameters)
        share = jnp.minimum(1.0, optax.tree_utils.tree_get(state, "count") / float(updates))
        return jax.tree.map(lambda leaf: share * leaf, change), state

    return optax.GradientTransformation(optimiser.init, update)


def init(parameters, optimiser: optax.GradientTransformation) -> State:
    """The state before the first update: the target is a copy."""
    parameters = jax.tree.map(jnp.array, parameters)
    target = jax.tree.map(jnp.copy, parameters)
    return State(parameters, target, optimiser.init(parameters), jnp.zeros((), jnp.int32))


def gradients(agent: Agent):
    """Returns (parameters, target_parameters, batch, seed) -> (gradients, loss [], Signals)."""

    def compute(parameters, target_parameters, batch: Batch, seed):
        (loss, signals), grads = jax.value_and_grad(agent.loss, has_aux=True)(
            parameters, target_parameters, batch, seed
        )
        return grads, loss, signals

    return compute


def apply_gradients(optimiser: optax.GradientTransformation):
    """Returns (parameters, optimiser state, gradients) -> (parameters, optimiser state, norm []), one step of the optimiser.

    The norm is the gradient's global one before any clip; XLA computes it once for both.
    """

    def apply(parameters, optimiser_state, grads):
        change, optimiser_state = optimiser.update(grads, optimiser_state, parameters)
        return optax.apply_updates(parameters, change), optimiser_state, optax.tree.norm(grads)

    return apply


def toward(parameters, target_parameters, rate: float):
    """Target parameters a step closer: exponential averaging (Lillicrap et al. 2016)."""
    return optax.incremental_update(parameters, target_parameters, rate)


def update(agent: Agent, optimiser: optax.GradientTransformation, target_every: int, target_rate: float = 1.0):
    """Returns (state, batch, seed) -> (state, loss [], Signals): a whole update as one program.

    Args:
      target_every: updates between two steps of the target network.
      target_rate: how far such a step leads to the parameters; 1 copies them.
    """
    grads_of, apply = gradients(agent), apply_gradients(optimiser)

    def step(state: State, batch: Batch, seed):
        grads, loss, signals = grads_of(state.parameters, state.target_parameters, batch, seed)
        parameters, optimiser_state, _ = apply(state.parameters, state.optimiser, grads)
        updates = state.updates + 1
        moved = parameters if target_rate == 1 else toward(parameters, state.target_parameters, target_rate)
        target = optax.periodic_update(moved, state.target_parameters, updates, target_every)
        return State(parameters, target, optimiser_state, updates), loss, signals

    return step
