"""The optimiser's switches: the rate's warm-up, and Adam's epsilon."""

import jax
import numpy as np
import pytest

from rtrl_jax.agents.agent import make_optimiser

RATE = 1e-2


def changes(optimiser, count, gradient=0.5):
    """What each of so many updates with the same gradient changes."""
    parameters = {"w": np.zeros(3, np.float32)}
    state, found = optimiser.init(parameters), []
    for _ in range(count):
        change, state = optimiser.update({"w": np.full(3, gradient, np.float32)}, state, parameters)
        found.append(np.asarray(change["w"]))
    return np.stack(found), state


def test_the_rate_rises_in_equal_steps_and_then_stays():
    usual, _ = changes(make_optimiser(RATE, 10), 6)
    warmed, _ = changes(make_optimiser(RATE, 10, warm_up=4), 6)
    np.testing.assert_allclose(usual, -RATE, rtol=1e-4)  # Adam's steps under a constant gradient
    np.testing.assert_allclose(warmed[:, 0], -RATE * np.array([0.25, 0.5, 0.75, 1, 1, 1]), rtol=1e-4)


def test_the_state_is_the_same_with_a_warm_up_and_goes_on_where_it_was():
    """So a checkpoint of one can be gone on with under the other, and one of the middle of a warm-up in its middle."""
    usual, warming = make_optimiser(RATE, 10), make_optimiser(RATE, 10, warm_up=8)
    _, state = changes(usual, 3)
    assert jax.tree.structure(state) == jax.tree.structure(changes(warming, 3)[1])
    change, _ = warming.update({"w": np.full(3, 0.5, np.float32)}, state)
    np.testing.assert_allclose(change["w"], -RATE * 4 / 8, rtol=1e-4)


def test_a_warm_up_longer_than_any_run_is_a_number_too():
    found, _ = changes(make_optimiser(RATE, 10, warm_up=10**12), 2)
    np.testing.assert_allclose(found[:, 0], [-RATE * 1e-12, -RATE * 2e-12], rtol=1e-4)


@pytest.mark.parametrize(("epsilon", "expected"), [(1e-8, 1.0), (1e-3, 0.5)])
def test_epsilon_holds_back_what_has_small_gradients(epsilon, expected):
    found, _ = changes(make_optimiser(RATE, 10, epsilon=epsilon), 1, gradient=1e-3)
    np.testing.assert_allclose(found[0], -RATE * expected, rtol=1e-4)
