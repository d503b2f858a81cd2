"""Each algorithm run by the real loops in simulated time: the table of inaction and delay that the docs state.

The expected figures come from an independent simulation (docs/semantics.md); the tolerances cover the noise of 6,000
ticks, and for Algorithm 1 under gamma the luck of the largest draw. τ in ticks.
"""

import numpy as np
import pytest
from simulation import constant, exploring, gamma, normal, outliers, simulate

from rtrl_jax import stagger

SETTLED = 4000  # ticks: from a start in step, exploration takes thousands to spread the workers out


@pytest.mark.parametrize(
    ("algorithm", "workers", "tau", "options", "inaction", "delay"),
    [
        ("none", 10, constant(9.99), {}, (0.90, 0.01), (11, 0.1)),
        ("max_time", 10, constant(9.99), {}, (0.0, 0.003), (11, 0.03)),
        ("expected_time", 10, constant(9.99), {}, (0.0, 0.003), (11, 0.03)),
        ("ticket", 10, constant(9.99), {"playout": 10}, (0.0, 0.003), (10, 0)),
        ("ticket", 10, constant(9.99), {}, (0.0, 0.003), (10, 0)),
        ("none", 12, normal(10, 0.5), {}, (0.31, 0.03), (10.8, 0.1)),
        ("max_time", 12, normal(10, 0.5), {}, (0.26, 0.08), (12.8, 0.5)),
        ("max_time", 12, normal(10, 0.5), {"tau_initial": 12.0}, (0.02, 0.04), (13, 0.3)),
        ("expected_time", 12, normal(10, 0.5), {}, (0.31, 0.03), (10.8, 0.1)),
        ("expected_time", 20, normal(10, 0.5), {}, (0.147, 0.03), (10.6, 0.2)),
        ("ticket", 11, normal(10, 0.5), {}, (0.001, 0.003), (12, 0.02)),
        ("none", 20, gamma(10, 0.5), {}, (0.55, 0.02), (5.9, 0.3)),
        ("max_time", 20, gamma(10, 0.5), {}, (0.60, 0.08), (40, 9)),
        ("expected_time", 20, gamma(10, 0.5), {}, (0.55, 0.02), (5.9, 0.3)),
        ("ticket", 11, gamma(10, 0.5), {"playout": 26}, (0.016, 0.01), (26, 0.1)),
        ("none", 12, exploring(constant(9.99), 0.5), {}, (0.55, 0.03), (1.0, 0.1)),
        ("max_time", 12, exploring(constant(9.99), 0.5), {}, (0.01, 0.012), (11, 0.1)),
        ("expected_time", 12, exploring(constant(9.99), 0.5), {}, (0.55, 0.03), (1.0, 0.1)),
        ("ticket", 8, exploring(constant(9.99), 0.5), {"playout": 11}, (0.002, 0.004), (11, 0.02)),
        ("none", 12, outliers(constant(9.99), 60), {}, (0.89, 0.015), (11, 0.1)),
        ("expected_time", 12, outliers(constant(9.99), 60), {}, (0.0, 0.004), (11, 0.1)),
        ("ticket", 11, outliers(constant(9.99), 60, every=300), {}, (0.003, 0.003), (10, 0.1)),
    ],
)
def test_inaction_and_delay(algorithm, workers, tau, options, inaction, delay):
    figures, records, _ = simulate(algorithm, workers, tau, ticks=10_000, **options)
    assert records["is_default"][SETTLED:].mean() == pytest.approx(inaction[0], abs=inaction[1])
    assert figures["delay"]["mean"] == pytest.approx(delay[0], abs=delay[1] + 1e-9)


def test_an_outlier_ruins_algorithm_1_and_costs_the_bounded_variant_only_itself():
    tau = outliers(constant(9.99), 60)
    for quantile, low, high in ((0.0, 0.80, 0.84), (0.99, 0.0, 0.01)):
        _, records, _ = simulate("max_time", 12, tau, ticks=8000, quantile=quantile)
        assert low <= records["is_default"][-4000:].mean() <= high


@pytest.mark.parametrize("algorithm", ["max_time", "expected_time"])
def test_answers_come_at_equal_distances(algorithm):
    _, _, decisions = simulate(algorithm, 7, constant(9.3), ticks=600)
    ends = np.sort(decisions["decision"]["end_ns"])[50:] / 1e9
    assert np.diff(ends).std() < 0.01 * np.diff(ends).mean()


def test_playout_makes_the_delay_constant_under_any_variance():
    _, records, _ = simulate("ticket", 12, gamma(10, 0.5), ticks=6000, playout=30)
    acted = np.flatnonzero(~records["is_default"])
    delay = acted - records["obs_tick"][acted]
    assert (delay == 30).mean() > 0.985


class Unpaced(stagger.Ticket):
    """The newest observation goes to whoever is idle."""

    def dispatch(self, tick, idle, oldest=0):
        return [(idle[0], tick)] if idle else []


@pytest.mark.parametrize(
    ("workers", "tau"),
    [
        (1, outliers(constant(0.9), 30, every=500)),
        (1, outliers(constant(0.9), 30, every=200)),
        (1, gamma(5, 0.5)),
        (2, gamma(3.5, 0.5)),
        (4, constant(9.99)),
        (4, normal(10, 0.5)),
        (4, normal(10, 2)),
        (4, gamma(10, 0.5)),
        (4, exploring(constant(9.99), 0.05)),
        (4, exploring(constant(19.99), 0.5)),
        (4, outliers(constant(9.99), 100, every=200)),
        (10, outliers(constant(29.9), 150, every=200)),
    ],
)
def test_pacing_too_few_workers_loses_no_work(workers, tau, monkeypatch):
    unpaced = stagger.by_name("ticket")._replace(name="unpaced", make=Unpaced)
    monkeypatch.setitem(stagger.ALGORITHMS, "unpaced", unpaced)
    paced, free = (
        np.mean([simulate(name, workers, tau, ticks=8000, seed=seed)[1]["is_default"][500:].mean() for seed in (0, 1)])
        for name in ("ticket", "unpaced")
    )
    assert paced <= free + 0.006


@pytest.mark.parametrize("tau", [constant(9.99), outliers(constant(9.99), 30, every=100)])
def test_pacing_makes_the_answers_of_too_few_workers_come_evenly(tau):
    _, records, _ = simulate("ticket", 4, tau, ticks=4000)
    gaps = np.diff(np.flatnonzero(~records["is_default"]))
    assert (gaps**2).mean() < 1.2 * gaps.mean() ** 2  # 1.04 at best, as a gap is 2 or 3 ticks; 2.08 in a bunch


def test_an_outlier_among_the_first_answers_costs_one_action_and_no_delay():
    _, records, _ = simulate("ticket", 11, outliers(constant(9.9), 99, at=50), ticks=2000)
    assert set(records["playout"]) == {10}
    assert records["is_default"][12:].sum() == 1


@pytest.mark.parametrize("seed", range(3))
def test_varying_times_cost_little_from_the_first_ticks_on(seed):
    _, records, _ = simulate("ticket", 11, gamma(10, 0.5), ticks=1000, seed=seed)
    delay = records["playout"][0]
    assert records["is_default"][delay:].mean() < 0.03


def test_a_dead_worker_gets_no_tickets_and_costs_its_share_alone():
    _, records, decisions = simulate("ticket", 12, constant(9.99), ticks=4000, dead=(3, 1000))
    assert records["is_default"][1020:].mean() < 0.002  # eleven are still enough
    assert not (decisions["decision"]["worker"][decisions["decision"]["obs_tick"] > 1000] == 3).any()


@pytest.mark.parametrize("algorithm", ["none", "max_time", "expected_time", "ticket"])
def test_no_decision_acts_in_an_episode_it_was_not_computed_in(algorithm):
    _, records, decisions = simulate(algorithm, 6, normal(4.5, 1.0), ticks=3000, episode_length=23)
    acted = ~records["is_default"]
    assert (records["obs_tick"][acted] >= records["episode_start"][acted]).all()
    assert (decisions["status"] == 2).any()
    assert acted.any()
