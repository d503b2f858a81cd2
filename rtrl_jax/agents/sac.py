"""Soft actor-critic (Haarnoja et al. 2018): twin critics, a tanh-Gaussian policy, a temperature that is learned."""

import jax
import jax.numpy as jnp

from rtrl_jax.actions import Vector
from rtrl_jax.agents import soft
from rtrl_jax.agents.agent import Agent, Batch, Signals, batch_of_one

TEMPERATURE = "log_temperature"  # the parameter of `networks.ActorCritic`


def make(apply, actions: Vector, target_entropy: float | None = None) -> Agent:
    """An agent whose one loss is the sum of the critics', the policy's and the temperature's, each with gradients of its own.

    Args:
      apply: of a `networks.ActorCritic`: from observations to the policy's numbers [B, 2 · size]; with actions [B, size] within
        ±1 as well, to their values [2, B].
      target_entropy: that the temperature holds the policy's to; None: minus the size (2018b, appendix D), less the
        numbers whose bounds are the same.
    """
    middle, half = (jnp.asarray(end, jnp.float32) for end in _middle_and_half(actions))
    live = (half > 0).astype(jnp.float32)
    wanted = -float(live.sum()) if target_entropy is None else target_entropy

    def policy(parameters, observation):
        return jnp.split(apply({"params": parameters}, observation), 2, axis=-1)

    def drawn(parameters, observation, key) -> soft.Drawn:
        """Of a batch."""
        mean, log_std = policy(parameters, observation)
        return jax.vmap(soft.tanh_gaussian, (0, 0, 0, None))(mean, log_std, jax.random.normal(key, mean.shape), live)

    def act(parameters, observation, seed):
        """The most likely u, through tanh."""
        del seed  # nothing is drawn
        mean, _ = policy(parameters, batch_of_one(observation))
        return middle + half * jnp.tanh(mean[0])

    def explore(parameters, observation, seed):
        return middle + half * drawn(parameters, batch_of_one(observation), jax.random.key(seed)).action[0]

    def loss(parameters, target_parameters, batch: Batch, seed):
        """Weighted mean over the batch."""
        now_key, then_key = jax.random.split(jax.random.key(seed))
        fixed = jax.lax.stop_gradient(parameters)
        temperature = jnp.exp(parameters[TEMPERATURE])
        then = drawn(fixed, batch.next_observation, then_key)
        q_t = apply({"params": target_parameters}, batch.next_observation, then.action).T
        target = jax.vmap(soft.soft_target, (0, 0, 0, 0, None))(
            batch.reward, batch.discount, q_t, then.log_pi, jnp.exp(fixed[TEMPERATURE])
        )
        taken = jnp.where(half > 0, (batch.action - middle) / jnp.where(half > 0, half, 1), 0)
        q_tm1 = apply({"params": parameters}, batch.observation, taken)
        errors = target - q_tm1
        now = drawn(parameters, batch.observation, now_key)
        q = apply({"params": fixed}, batch.observation, now.action).T
        each = 0.5 * jnp.sum(errors**2, axis=0)
        each += jax.vmap(soft.policy_loss, (0, 0, None))(now.log_pi, q, temperature)
        each += jax.vmap(soft.temperature_loss, (None, 0, None))(temperature, now.log_pi, wanted)
        sizes = jnp.abs(errors).mean(0)
        return jnp.mean(batch.weight * each), Signals(sizes, q_tm1.mean(), target.mean(), sizes.mean())

    return Agent(act, loss, explore)


def _middle_and_half(actions: Vector) -> tuple[list[float], list[float]]:
    ends = list(zip(actions.low, actions.high, strict=True))
    return [(low + high) / 2 for low, high in ends], [(high - low) / 2 for low, high in ends]
