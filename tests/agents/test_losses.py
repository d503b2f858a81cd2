"""Rainbow's losses by hand and against rlax's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax

from rtrl_jax.agents import losses

ATOMS = jnp.linspace(0.0, 200.0, 51)


def test_double_q_learning_values_with_one_network_what_the_other_chose():
    q_tm1, q_t, selector = jnp.array([1.0, 2.0]), jnp.array([10.0, 20.0]), jnp.array([5.0, 4.0])
    assert float(losses.double_q_learning(q_tm1, 1, 3.0, 0.5, q_t, selector)) == 3 + 0.5 * 10 - 2
    assert float(losses.double_q_learning(q_tm1, 1, 3.0, 0.5, q_t, q_t)) == float(
        losses.q_learning(q_tm1, 1, 3.0, 0.5, q_t)
    )


def test_double_q_learning_is_rlax_s():
    rng = np.random.default_rng(0)
    for _ in range(20):
        q_tm1, q_t, selector = jnp.asarray(rng.normal(size=(3, 4)), jnp.float32)
        arguments = (q_tm1, jnp.int32(rng.integers(4)), jnp.float32(rng.normal()), jnp.float32(0.9), q_t, selector)
        np.testing.assert_allclose(losses.double_q_learning(*arguments), rlax.double_q_learning(*arguments), rtol=1e-5)


@pytest.mark.parametrize(
    ("z_p", "expected"),
    [
        ([0.0, 1.0, 2.0], [0.2, 0.3, 0.5]),  # where they are
        ([0.5, 1.5, 2.5], [0.1, 0.25, 0.65]),  # half to each neighbour; beyond the end to the end
        ([-9.0, -9.0, 9.0], [0.5, 0.0, 0.5]),
        ([1.25, 1.25, 1.25], [0.0, 0.75, 0.25]),  # a terminal reward
    ],
)
def test_projection_by_hand(z_p, expected):
    found = losses.categorical_projection(jnp.array(z_p), jnp.array([0.2, 0.3, 0.5]), jnp.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_projection_is_rlax_s():
    rng = np.random.default_rng(0)
    for _ in range(20):
        probs = jnp.asarray(rng.dirichlet(np.ones(51)), jnp.float32)
        z_p = jnp.float32(rng.normal(0, 30)) + jnp.float32(rng.random()) * ATOMS
        found = losses.categorical_projection(z_p, probs, ATOMS)
        np.testing.assert_allclose(found, rlax.categorical_l2_project(z_p, probs, ATOMS), atol=1e-5)
        assert float(found.sum()) == pytest.approx(1, abs=1e-5)


def categorical_problem(seed):
    rng = np.random.default_rng(seed)
    logits_tm1, logits_t = jnp.asarray(2 * rng.normal(size=(2, 4, 51)), jnp.float32)
    transition = jnp.int32(rng.integers(4)), jnp.float32(10 * rng.random()), jnp.float32(0.97 * rng.integers(2))
    return logits_tm1, *transition, logits_t, jnp.asarray(rng.normal(size=4), jnp.float32)


@pytest.mark.parametrize("seed", range(5))
def test_categorical_losses_and_their_gradients_are_rlax_s(seed):
    logits_tm1, a_tm1, r_t, discount_t, logits_t, selector = categorical_problem(seed)

    def double(logits):
        return losses.categorical_double_q_learning(ATOMS, logits, a_tm1, r_t, discount_t, logits_t, selector)

    def rlax_double(logits):
        return rlax.categorical_double_q_learning(ATOMS, logits, a_tm1, r_t, discount_t, ATOMS, logits_t, selector)

    def plain(logits):
        means = jax.nn.softmax(logits_t) @ ATOMS
        return losses.categorical_double_q_learning(ATOMS, logits, a_tm1, r_t, discount_t, logits_t, means)

    def rlax_plain(logits):
        return rlax.categorical_q_learning(ATOMS, logits, a_tm1, r_t, discount_t, ATOMS, logits_t)

    for ours, theirs in ((double, rlax_double), (plain, rlax_plain)):
        np.testing.assert_allclose(ours(logits_tm1), theirs(logits_tm1), rtol=1e-4)
        np.testing.assert_allclose(jax.grad(ours)(logits_tm1), jax.grad(theirs)(logits_tm1), atol=1e-5)
        assert float(ours(logits_tm1)) >= 0


def test_categorical_loss_by_hand():
    atoms = jnp.array([0.0, 1.0, 2.0])
    logits_tm1 = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    logits_t = jnp.log(jnp.array([[0.98, 0.01, 0.01], [0.5, 0.25, 0.25]]))
    # The selector takes action 1. Its atoms go to 0.5, 1 and 1.5: 0.25, 0.25 + 0.25 + 0.125, 0.125.
    found = losses.categorical_double_q_learning(atoms, logits_tm1, 0, 0.5, 0.5, logits_t, jnp.array([0.0, 1.0]))
    expected = -(0.25 * np.log(0.5) + 0.625 * np.log(0.25) + 0.125 * np.log(0.25))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_no_gradient_flows_into_the_target():
    logits_tm1, a_tm1, r_t, discount_t, logits_t, selector = categorical_problem(0)

    def loss(logits_t, selector):
        return losses.categorical_double_q_learning(ATOMS, logits_tm1, a_tm1, r_t, discount_t, logits_t, selector)

    for slope in jax.grad(loss, (0, 1))(logits_t, selector):
        assert not slope.any()
