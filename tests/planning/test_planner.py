"""From times to a plan: how many processes, who gets which core, what is lost, and what is said of sizes not measured."""

import functools
import json

import numpy as np
import pytest

from rtrl_jax import stagger
from rtrl_jax.errors import UserError
from rtrl_jax.planning import measured, planner
from rtrl_jax.planning.expected import inaction_and_delays
from rtrl_jax.planning.planner import WAYS, Facts, Timing, workers_needed
from rtrl_jax.planning.settings import Planning


def facts(tau_ticks, *, tau_l_ticks=None, learn_every=4, cores=64, rate_hz=50.0, p_minimax=0.9) -> Facts:
    tick_ms = 1e3 / rate_hz
    tau_l = None if tau_l_ticks is None else Timing(np.array([tau_l_ticks * tick_ms]), "taken")
    tau_theta = Timing(np.atleast_1d(np.array(tau_ticks, float)) * tick_ms, "taken")
    return Facts(rate_hz, tau_theta, tau_l, learn_every, cores, p_minimax)


def plan(*args, **kwargs):
    given = facts(*args, **kwargs)
    expect = functools.lru_cache(lambda way, workers: inaction_and_delays(way, workers, given.tau_ticks))
    return planner.plan(
        given, lambda way, workers, tau: expect(way, workers), lambda way, workers, learners: {"total": 0}
    )


def test_workers_of_each_way():
    varied = np.array([9.5, 9.9, 9.9, 11.5, 11.9])  # mean 10.54; whole ticks 10, 10, 10, 12, 12
    assert [workers_needed(way, varied) for way in WAYS] == [1, 12, 11, 11]
    assert [workers_needed(way, np.array([10.0])) for way in WAYS] == [1, 10, 10, 10]
    assert [workers_needed(way, np.array([0.01])) for way in WAYS] == [1, 1, 1, 1]
    assert [workers_needed(way, np.array([1.0])) for way in WAYS] == [1, 1, 1, 1]
    assert [workers_needed(way, np.array([1.001])) for way in WAYS] == [1, 2, 2, 2]


def test_an_outlier_costs_algorithm_1_alone_more_workers():
    tau = np.array([0.5] * 199 + [40.0])
    assert [workers_needed(way, tau) for way in WAYS] == [1, 40, 1, 2]  # ticket: 1.195 ticks in the mean
    tau = np.array([0.5] * 31 + [1.5])
    assert [workers_needed(way, tau) for way in WAYS] == [1, 2, 1, 1]  # not for a twentieth of a tick


def test_playout_is_a_high_quantile_of_whole_ticks():
    assert stagger.playout_for(np.array([0.2])) == 1
    assert stagger.playout_for(np.array([9.99] * 100)) == 10
    assert stagger.playout_for(np.array([9.99] * 995 + [30.0] * 5)) == 10
    assert stagger.playout_for(np.array([9.99] * 980 + [30.0] * 20)) == 30


@pytest.mark.parametrize(
    ("tau_l_ticks", "learn_every", "expected"), [(3.9, 4, 1), (4.0, 4, 1), (4.1, 4, 2), (12.0, 1, 12), (0.01, 4, 1)]
)
def test_learners(tau_l_ticks, learn_every, expected):
    assert planner.learners_needed(facts(1, tau_l_ticks=tau_l_ticks, learn_every=learn_every)) == expected
    assert planner.learners_needed(facts(1)) == 0


@pytest.mark.parametrize(
    ("cores", "workers", "learners", "expected"),
    [
        (64, 10, 3, (10, 3, 14)),
        (14, 10, 3, (10, 3, 14)),
        (12, 10, 3, (10, 1, 12)),
        (11, 10, 3, (10, 1, 11)),  # the learner shares the environment's core
        (5, 10, 3, (4, 1, 5)),
        (5, 10, 0, (4, 0, 5)),
        (2, 1, 1, (1, 1, 2)),
        (1, 10, 3, (1, 1, 1)),
        (1, 1, 0, (1, 0, 1)),
    ],
)
def test_inference_comes_before_learning(cores, workers, learners, expected):
    assert planner.split(cores, workers, learners)[:3] == expected


def test_a_constant_time_with_enough_cores():
    ways = plan(9.99)["ways"]
    ticket, sequential = ways["ticket"]["enough_cores"], ways["sequential"]["enough_cores"]
    assert (ticket["inference_workers"], ticket["learners"], ticket["cores"]) == (10, 0, 11)
    assert (ticket["inaction"], ticket["delay_ticks"], ticket["delay_ms"]) == (0, 10, 200)
    assert sequential["inaction"] == pytest.approx(0.9)
    assert sequential["delay_ticks"] == 10
    assert ways["max_time"]["enough_cores"]["delay_ticks"] == pytest.approx(11, abs=0.1)  # begins within a tick
    assert ways["ticket"]["playout_ticks"] == 10
    assert ways["ticket"]["late_head_workers"] == 10  # its worker is occupied until the decision is due


def test_fewer_cores_than_needed_leave_ticks_to_the_default_action():
    ways = plan(9.99, cores=6)["ways"]
    assert ways["ticket"]["given_cores"]["inference_workers"] == 5
    assert ways["ticket"]["given_cores"]["inaction"] == pytest.approx(0.5, abs=0.02)
    assert ways["ticket"]["given_cores"]["regret"]["inaction_per_s"] == pytest.approx(25, abs=1)
    assert ways["ticket"]["enough_cores"]["inaction"] == 0


def test_regret_terms():
    terms = planner.regret(0.0, np.array([1]), 50.0, 0.9)
    assert terms["inaction_per_s"] == terms["delay_per_s"] == 0
    assert terms["learning_first_hour"] == pytest.approx(np.sqrt(3600 * 50))
    terms = planner.regret(0.5, np.array([3]), 50.0, 0.9)
    assert terms["inaction_per_s"] == pytest.approx(25)
    assert terms["delay_per_s"] == pytest.approx(25 * (1 - 0.9**2))
    assert planner.regret(0.0, np.array([30]), 50.0, 1.0)["delay_per_s"] == 0


def test_sequential_learning_blocks_acting():
    assert planner.sequential_outcome(facts(0.2, tau_l_ticks=0.3)) == (0, 1, 12.5)  # both within a tick
    inaction, delay, updates = planner.sequential_outcome(facts(9.99, tau_l_ticks=30.01))  # an update every cycle
    assert inaction == pytest.approx(1 - 1 / 40)
    assert delay == pytest.approx(10.99)
    assert updates == pytest.approx(50 / 40)
    inaction, _, updates = planner.sequential_outcome(facts(2, tau_l_ticks=1, learn_every=10))  # every fifth or so
    assert inaction == pytest.approx(1 - (1 - 1 / 10) / 2)
    assert updates == pytest.approx(5)


def test_by_decision_updates_follow_the_actions():
    """An update of 30 ticks for every second action: the agent that blocks itself makes each, and takes that much longer."""
    slow = facts(9.99, tau_l_ticks=30.01, learn_every=2)._replace(learn_per="decision")
    inaction, delay, updates = planner.sequential_outcome(slow)
    assert inaction == pytest.approx(1 - 1 / 25)
    assert delay == pytest.approx((10 + 10.99) / 2)
    assert updates == pytest.approx(50 / 25 / 2)
    everything = planner.plan(slow, lambda way, workers, tau: (0.6, np.array([10])), lambda *_: {"total": 0})
    for way, updates in (("sequential", 1), ("ticket", 10)):
        assert everything["ways"][way]["enough_cores"]["updates_wanted_per_s"] == pytest.approx(updates)
    assert everything["learn_per"] == "decision"


def test_learning_falls_behind_where_cores_are_few():
    given = plan(2, tau_l_ticks=20, learn_every=4, cores=5)["ways"]["ticket"]
    assert (given["enough_cores"]["learners"], given["enough_cores"]["updates_per_s"]) == (5, 12.5)
    assert (given["given_cores"]["learners"], given["given_cores"]["updates_per_s"]) == (2, 5)


@pytest.mark.parametrize("text", ["159", "normal:160,8", "lognormal:160,30", "gamma:160,80", "uniform:80,240"])
def test_every_form_of_latency_gives_a_plan(text):
    tau = Planning(inference_ms=text).draws(1000) * 50 / 1e3
    ways = plan(tau)["ways"]
    assert ways["max_time"]["enough_cores"]["inference_workers"] >= ways["ticket"]["enough_cores"]["inference_workers"]
    assert ways["ticket"]["enough_cores"]["inaction"] < 0.1
    poisson = ways["expected_time"]["poisson_inaction"]
    assert 0.25 < poisson < np.exp(-1) + 0.01  # at N = ⌈τ̄⌉
    if text != "159":
        assert ways["expected_time"]["enough_cores"]["inaction"] > 0.1


def test_what_cannot_be_simulated_is_left_open():
    ways = plan(20_000)["ways"]
    assert ways["ticket"]["enough_cores"]["inference_workers"] == 20_000
    assert ways["ticket"]["enough_cores"]["inaction"] is None
    json.dumps(ways, allow_nan=False)


@pytest.mark.parametrize(("noise", "within"), [(0.0, 1e-6), (0.01, 0.05)])
def test_extrapolation_recovers_a_power_law(noise, within):
    rng = np.random.default_rng(1)
    points = [(work, 3e-9 * work**0.97 * np.exp(noise * rng.normal())) for work in (4e9, 12e9, 36e9, 1e10)]
    law = planner.power_law(points)
    assert law.at(3e11) == pytest.approx(3e-9 * 3e11**0.97, rel=within)
    assert law.residual <= 0.03
    assert "3.6" not in str(law)
    assert "4 sizes of 4 to 36 GFLOP" in str(law)


def test_a_line_does_not_fall():
    assert planner.line([(1, 10), (3, 14)], 11) == pytest.approx(30)
    assert planner.line([(1, 10), (3, 8)], 100) == pytest.approx(9)


def test_a_size_too_large_is_extrapolated_from_smaller_ones(monkeypatch):
    """With a stand-in for measuring, whose machine does 100 GFLOP/s whatever the network."""
    seen = []

    def stand_in(model):
        size = measured.size_of(model)
        seen.append(size.count)
        seconds = size.flops / 100e9
        return measured.measure.Sample(seconds * 1e9 * np.array([0.9, 1.0, 1.1]), 1000 + 2 * size.count)

    monkeypatch.setattr(measured, "LARGEST", 2e5)
    monkeypatch.setattr(measured, "INFERENCE_RUNG", (1e9, 2e5))
    monkeypatch.setattr(measured, "UPDATE_RUNG", (1e9, 1e5))
    monkeypatch.setattr(measured.measure, "inferences", stand_in)
    monkeypatch.setattr(measured.measure, "updates", stand_in)
    made = measured.make(Planning(environment="gymnasium/CartPole-v1", parameters="2M"))
    assert len(seen) == measured.INFERENCE_RUNGS + measured.UPDATE_RUNGS
    assert max(seen) < 2.2e5
    assert made["tau_theta"]["how"] == made["tau_l"]["how"] == "extrapolated"
    assert "above 0.2 M parameters; fit on 4 sizes" in made["tau_theta"]["note"]
    assert made["tau_theta"]["p50_ms"] == pytest.approx(made["network"]["flop"] / 100e6, rel=0.05)
    assert made["ways"]["ticket"]["enough_cores"]["memory"]["learner_processes"] == pytest.approx(
        1000 + 2 * made["network"]["parameters"], rel=0.05
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cores": 0}, "--cores"),
        ({"cores": 100_000}, "--cores"),
        ({"learn_every": -1}, "--learn_every"),
        ({"learn_every": 0, "update_ms": 3.0}, "--update_ms"),
        ({"update_ms": float("nan")}, "--update_ms"),
        ({"p_minimax": 1.5}, "--p_minimax"),
        ({"inference_ms": "0"}, "more than 0"),
        ({"inference_ms": "gauss:1,2"}, "--inference_ms=gauss:1,2: give"),
        ({"batch_size": 0}, "--batch_size"),
        ({"width": 1.0, "parameters": "1M"}, "give one"),
        ({"display": "none"}, "--out"),
        ({"out": "/proc/no/such/folder/plan.json"}, "--out"),
    ],
)
def test_bad_settings(given, says):
    with pytest.raises(UserError, match=says):
        Planning(**given).check()
