"""Theorem 1's terms: limits, monotonicity, figures worked out by hand; N* and its edges; the proofs' worlds in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_jax import theory

TIMES = st.floats(1e-3, 1e3)
CHANCES = st.floats(0.01, 1.0)


def test_learning_grows_with_the_root_of_the_actions_taken():
    assert theory.learning_regret(100.0, 0.25, constant=3.0) == 60.0
    assert theory.learning_regret(0.0, 0.25, constant=3.0) == 0.0
    assert theory.learning_regret(1e12, 1.0, constant=1.0) / 1e12 < 1e-5


def test_inaction_is_the_share_of_ticks_left_to_the_default_action():
    assert theory.inaction_regret(10.0, 0.02, 0.02) == 0.0
    assert theory.inaction_regret(10.0, 0.08, 0.02) == pytest.approx(500 - 125)  # 500 ticks, an action on each fourth
    assert theory.inaction_regret(10.0, 0.08, 0.02, r_max=2.0) == pytest.approx(750)
    assert theory.inaction_regret(10.0, 1e9, 0.02) == pytest.approx(500)


def test_delay_costs_nothing_where_the_world_is_certain_and_everything_where_it_is_not():
    assert theory.delay_regret(10.0, 0.02, 0.5, 0.02, 1.0) == 0.0
    assert theory.delay_regret(10.0, 0.02, 0.03, 0.02, 0.9) == pytest.approx(500 * (1 - 0.81))
    assert theory.delay_regret(10.0, 0.02, 0.02, 0.02, 0.9, free_ticks=1) == 0.0
    assert theory.delay_regret(10.0, 0.02, 1.0, 0.02, 1e-9) == pytest.approx(500)
    assert theory.delay_regret(10.0, 0.02, 1.0, 0.02, 0.25, states=4) == pytest.approx(500 * 0.75)


def test_delay_is_an_expectation_over_inference_times():
    samples = np.array([0.01, 0.03])  # one tick, and two
    assert theory.delay_regret(1.0, 0.02, samples, 0.02, 0.5) == pytest.approx(50 * (0.5 + 0.75) / 2)


@given(tau=TIMES, tau_m=TIMES, longer=st.floats(1, 100), more=st.floats(1, 100), p=CHANCES)
def test_terms_are_monotonous(tau, tau_m, longer, more, p):
    tau_i = tau_m * longer
    assert theory.inaction_regret(tau, tau_i * more, tau_m) >= theory.inaction_regret(tau, tau_i, tau_m) * (1 - 1e-9)
    assert theory.inaction_regret(tau, tau_i, tau_m) <= tau / tau_m * (1 + 1e-9)
    a, b = (theory.delay_regret(tau, tau_m, tau_m * x, tau_m, p) for x in (longer, longer * more))
    assert 0 <= a <= b * (1 + 1e-9) <= tau / tau_m * (1 + 1e-8)
    assert theory.delay_regret(tau, tau_m, tau_i, tau_m, p) >= theory.delay_regret(tau, tau_m, tau_i, tau_m, 1.0)


def test_the_whole_is_the_sum_of_the_three():
    whole = theory.realtime_regret(10.0, 0.04, 0.04, 0.02, 0.9, learning_constant=2.0)
    assert whole == pytest.approx(2 * math.sqrt(250) + 250 + 250 * (1 - 0.81))


def test_remark_1():
    assert theory.sequential_regret_rate(0.1, 0.02) == pytest.approx(
        (0.1 - 0.02) / (0.02 * 0.1)
    )  # 40 of 50 ticks a second
    assert theory.sequential_regret_rate(0.01, 0.02) == 0.0
    assert theory.sequential_regret_rate(1e6, 0.02) == pytest.approx(50)
    assert theory.sequential_interaction_time(0.1, 0.02, tau_l=0.3) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("tau_theta", "tau_m", "workers"),
    [
        (0.0, 0.02, 1),
        (0.02, 0.02, 1),
        (0.0200001, 0.02, 2),
        (1.1, 0.1, 11),  # 11.000000000000002 in floating point
        (0.3, 0.1, 3),
        (150684358e-9, 1 / 59.7275, 9),  # nine ticks in whole nanoseconds
        (70e-3, 1 / 59.7275, 5),
        (1.17, 1 / 59.7275, 70),
    ],
)
def test_n_i_star(tau_theta, tau_m, workers):
    assert theory.n_i_star(tau_theta, tau_m) == workers
    assert theory.staggered_interaction_time(tau_theta, workers, tau_m) == pytest.approx(tau_m)
    if workers > 1:
        assert theory.staggered_interaction_time(tau_theta, workers - 1, tau_m) > tau_m


def test_n_star_of_tickets_lies_between_the_mean_and_the_maximum():
    tau = np.linspace(5.0, 15.0, 1001)
    assert theory.n_i_star(float(tau.mean()), 1.0) == 10
    assert theory.n_i_star_ticket(tau, 1.0) == 11  # E⌈τ⌉ = 10.5
    assert theory.n_i_star(float(tau.max()), 1.0) == 15
    assert theory.n_i_star_ticket([1.1], 0.1) == 11


def test_n_l_star():
    assert theory.n_l_star(0.5, 0.02) == 25
    assert theory.n_l_star(0.5, 0.02, learn_every=5) == 5
    assert theory.n_l_star(0.001, 0.02, learn_every=5) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: theory.inaction_regret(1.0, 0.01, 0.02),
        lambda: theory.delay_regret(1.0, 0.02, 0.02, 0.02, 1.1),
        lambda: theory.delay_regret(1.0, 0.02, -0.02, 0.02, 0.5),
        lambda: theory.delay_regret(1.0, 0.02, 0.02, 0.02, 0.1, states=4),
        lambda: theory.learning_regret(1.0, 0.0, constant=1.0),
        lambda: theory.learning_regret(-1.0, 1.0, constant=1.0),
        lambda: theory.n_i_star(math.nan, 1.0),
        lambda: theory.n_l_star(1.0, 1.0, learn_every=0),
    ],
)
def test_values_that_mean_nothing(call):
    with pytest.raises(ValueError, match=r"must|below"):
        call()


def _powers(step: np.ndarray, k: int) -> np.ndarray:
    return np.linalg.matrix_power(step, k)[0]


@pytest.mark.parametrize("p", [1.0, 0.9, 0.5, 0.2])
@pytest.mark.parametrize("k", [0, 1, 2, 7, 30])
def test_positions_are_those_of_the_transition_matrix(p, k):
    states = 5
    shift = np.roll(np.eye(states), 1, axis=1)
    cycle = p * np.eye(states) + (1 - p) * shift
    chain = p * shift + (1 - p) / (states - 1) * (1 - shift)
    assert theory.cycle_position(p, k, states) == pytest.approx(_powers(cycle, k))
    assert theory.chain_position(p, k, states) == pytest.approx(_powers(chain, k))
    assert theory.chain_loss(p, k, states) == pytest.approx(1 - _powers(chain, k).max())


def test_with_many_states_the_chain_is_equation_4():
    for k in (0, 1, 5, 20):
        assert theory.chain_loss(0.9, k) == pytest.approx(1 - 0.9**k)
        assert theory.chain_loss(0.9, k, 10**7) == pytest.approx(1 - 0.9**k, abs=1e-5)
    assert theory.chain_loss(1 / 64, 1, 64) == pytest.approx(1 - 1 / 64)  # uniformly random


def test_in_the_proofs_cycle_there_is_a_better_bet_than_the_state_last_seen():
    assert theory.cycle_loss(0.9, 5, 64) == pytest.approx(1 - 0.9**5)
    assert theory.cycle_loss(0.9, 20, 64) == pytest.approx(1 - math.comb(20, 2) * 0.1**2 * 0.9**18)
    ratios = [
        theory.cycle_loss(p, k, 400) / theory.chain_loss(p, k)
        for p in np.linspace(0.5, 0.99, 50)
        for k in range(1, 120)
    ]
    assert min(ratios) >= 2 / 3 - 1e-9
    assert max(ratios) <= 1 + 1e-9
