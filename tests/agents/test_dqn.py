"""The DQN update against one written out by hand, in float64 and without any library of ours or of optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn, losses
from rtrl_jax.agents.exploration import linear

RATE, CLIP, GAMMA = 1e-2, 0.5, 0.99


def apply(variables, x):
    p = variables["params"]
    return jnp.maximum(x @ p["w1"] + p["b1"], 0) @ p["w2"] + p["b2"]


def random_problem(seed=0, batch=16):
    rng = np.random.default_rng(seed)
    sizes = {"w1": (5, 8), "b1": (8,), "w2": (8, 3), "b2": (3,)}
    parameters = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    return parameters, agents.Batch(
        rng.normal(size=(batch, 5)).astype(np.float32),
        rng.integers(0, 3, batch).astype(np.int32),
        (3 * rng.normal(size=batch)).astype(np.float32),
        (GAMMA * rng.integers(0, 2, batch)).astype(np.float32),
        rng.normal(size=(batch, 5)).astype(np.float32),
        np.ones(batch, np.float32),
    )


def by_hand(p, target, batch):
    """Gradient of the mean Huber loss, by the chain rule, and the loss."""
    p, target = ({k: v.astype(np.float64) for k, v in tree.items()} for tree in (p, target))
    x, rows = batch.observation.astype(np.float64), np.arange(len(batch.action))
    hidden = np.maximum(x @ p["w1"] + p["b1"], 0)
    q = hidden @ p["w2"] + p["b2"]
    q_next = np.maximum(batch.next_observation @ target["w1"] + target["b1"], 0) @ target["w2"] + target["b2"]
    error = batch.reward + batch.discount * q_next.max(1) - q[rows, batch.action]
    loss = np.where(np.abs(error) <= 1, 0.5 * error**2, np.abs(error) - 0.5).mean()
    dq = np.zeros_like(q)
    dq[rows, batch.action] = -np.clip(error, -1, 1) / len(rows)
    dh = (dq @ p["w2"].T) * (hidden > 0)
    return {"w2": hidden.T @ dq, "b2": dq.sum(0), "w1": x.T @ dh, "b1": dh.sum(0)}, loss


def test_updates_equal_plain_dqn_number_for_number():
    parameters, _ = random_problem()
    optimiser = agents.make_optimiser(RATE, CLIP)
    state = agents.init(parameters, optimiser)
    step = jax.jit(agents.update(dqn.make(apply), optimiser, target_every=4))
    mine = {k: v.astype(np.float64) for k, v in parameters.items()}
    target = dict(mine)
    first, second = ({k: np.zeros_like(v) for k, v in mine.items()} for _ in range(2))
    for t in range(1, 11):
        _, batch = random_problem(seed=t)
        gradient, loss = by_hand(mine, target, batch)
        norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
        assert norm > CLIP, "the clip should be at work"
        for k in mine:
            g = gradient[k] * min(1, CLIP / norm)
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.999 * second[k] + 0.001 * g**2
            mine[k] = mine[k] - RATE * (first[k] / (1 - 0.9**t)) / (np.sqrt(second[k] / (1 - 0.999**t)) + 1e-8)
        if t % 4 == 0:
            target = dict(mine)
        state, found, _ = step(state, batch, np.uint32(0))
        assert float(found) == pytest.approx(loss, rel=1e-4)
        for k in mine:
            np.testing.assert_allclose(state.parameters[k], mine[k], rtol=2e-4, atol=2e-5)
            np.testing.assert_allclose(state.target_parameters[k], target[k], rtol=2e-4, atol=2e-5)
    assert int(state.updates) == 10


def test_huber_is_optax_s():
    errors = jnp.linspace(-4, 4, 101)
    np.testing.assert_allclose(losses.huber(errors), optax.huber_loss(errors), rtol=1e-6)


def test_the_target_of_a_terminal_transition_is_its_reward():
    error = losses.q_learning(jnp.array([1.0, 2.0]), 1, jnp.array(5.0), jnp.array(0.0), jnp.array([100.0, 200.0]))
    assert float(error) == 3.0


def test_greedy_action_takes_the_highest_value():
    act = dqn.make(lambda variables, x: x * variables["params"]).act
    assert int(act(jnp.array(1.0), jnp.array([0.0, 3.0, 1.0]), 0)) == 1
    assert int(act(jnp.array(-1.0), jnp.array([0.5, 3.0, 1.0]), 0)) == 0


def test_epsilon_falls_in_a_line_and_stays():
    epsilon = linear(1.0, 0.05, 100_000)
    assert [epsilon(n) for n in (0, 50_000, 100_000, 10**9)] == pytest.approx([1.0, 0.525, 0.05, 0.05])
    assert linear(1.0, 0.2, 0)(0) == 0.2
