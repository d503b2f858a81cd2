"""What a loss says of its batch besides: mean value, target and error, worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn, rainbow

ACTION, REWARD, DISCOUNT = np.array([1, 0, 1]), np.array([1.0, -2.0, 0.5]), np.array([0.9, 0.0, 0.5])
NOW, NEXT = np.array([[1.0, 2], [3, 4], [5, 6]]), np.array([[1.0, 5], [2, 7], [4, 3]])


def apply(variables, observation, **_):
    return observation * variables["params"]


def batch():
    weight = np.array([1.0, 0.25, 0.5])
    return agents.Batch(NOW, ACTION, REWARD, DISCOUNT, NEXT, weight)


def check(found, q, target):
    assert float(found.q) == pytest.approx(np.mean(q), rel=1e-5)
    assert float(found.target_q) == pytest.approx(np.mean(target), rel=1e-5)
    assert float(found.td_error) == pytest.approx(np.mean(np.abs(target - q)), rel=1e-5)


def test_of_q_learning():
    q, target = 2 * NOW[range(3), ACTION], REWARD + DISCOUNT * 3 * NEXT.max(1)
    _, found = dqn.make(apply).loss(2.0, 3.0, batch(), 0)
    check(found, q, target)
    np.testing.assert_allclose(found.errors, np.abs(target - q), rtol=1e-6)


def test_of_double_q_learning():
    chosen = (-NEXT).argmax(1)  # by the online network
    _, found = rainbow.make(apply, double_q=True, noisy=False, support=None).loss(-2.0, 3.0, batch(), 0)
    check(found, -2 * NOW[range(3), ACTION], REWARD + DISCOUNT * 3 * NEXT[range(3), chosen])


def test_of_a_distribution_they_are_means_within_the_support():
    atoms, rng = np.linspace(-1, 2, 4), np.random.default_rng(0)
    now, later = rng.normal(size=(2, 3, 2, 4))
    given = batch()._replace(observation=now, next_observation=later)
    _, found = rainbow.make(apply, double_q=False, noisy=False, support=(-1.0, 2.0, 4)).loss(1.0, 2.0, given, 0)
    p = np.asarray(jax.nn.softmax(jnp.asarray(2 * later)))
    best = (p @ atoms).argmax(1)
    moved = np.clip(REWARD[:, None] + DISCOUNT[:, None] * atoms, -1, 2)  # which keeps the mean
    check(
        found,
        np.asarray(jax.nn.softmax(jnp.asarray(now)))[range(3), ACTION] @ atoms,
        (p[range(3), best] * moved).sum(1),
    )


def test_the_norm_is_of_the_gradient_before_the_clip():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    optimiser = agents.make_optimiser(1e-3, 0.5)
    zeros = jax.tree.map(np.zeros_like, grads)
    *_, norm = jax.jit(agents.apply_gradients(optimiser))(zeros, optimiser.init(zeros), grads)
    assert float(norm) == pytest.approx(5)
