"""The algorithms by name: what each needs, how each is made, and that a new one needs no more than its entry."""

import numpy as np
import pytest
from simulation import constant, normal, simulate

from rtrl_jax import stagger
from rtrl_jax.stagger import Algorithm, Free, Ticket, announcements

UNEVEN = np.array([9.5, 9.9, 9.9, 11.5, 11.9])  # mean 10.54; whole ticks 10, 10, 10, 12, 12
OVER_TABLES = [name for name in stagger.NAMES if not stagger.by_name(name).hands_out_tickets]


def test_names_and_labels():
    assert stagger.NAMES == ("ticket", "max_time", "expected_time", "none")
    assert [stagger.by_name(name).label for name in stagger.NAMES] == [
        "tickets",
        "Algorithm 1",
        "Algorithm 2",
        "no staggering",
    ]
    assert all(algorithm.name == name for name, algorithm in stagger.ALGORITHMS.items())


@pytest.mark.parametrize(
    "call",
    [
        lambda: stagger.by_name("best"),
        lambda: stagger.make("best", announcements.new_table(2)),
        lambda: stagger.make_dispatcher("best", 2),
        lambda: stagger.n_star("best", np.array([3.0])),
        lambda: simulate("best", 2, constant(3.0), ticks=10),
    ],
)
def test_an_unknown_name_is_an_error_and_not_the_mean(call):
    with pytest.raises(ValueError, match=r"best.*one of .*ticket, max_time, expected_time, none"):
        call()


def test_each_kind_is_made_in_its_own_way():
    with pytest.raises(ValueError, match="hands out tickets"):
        stagger.make("ticket", announcements.new_table(2))
    for name in OVER_TABLES:
        with pytest.raises(ValueError, match="no tickets"):
            stagger.make_dispatcher(name, 2)
    assert stagger.make_dispatcher("ticket", 2, playout=7).playout == 7


@pytest.mark.parametrize(
    ("name", "tau_ticks", "quantile", "expected"),
    [
        ("max_time", UNEVEN, 0.0, 12),
        ("max_time", UNEVEN, 0.5, 10),
        ("expected_time", UNEVEN, 0.0, 11),
        ("none", UNEVEN, 0.0, 11),
        ("ticket", UNEVEN, 0.0, 11),
        ("ticket", np.array([0.5] * 31 + [1.5]), 0.0, 1),  # 1.03 workers
        ("ticket", np.array([0.5] * 15 + [1.5]), 0.0, 2),  # 1.06
        ("max_time", np.array([8.03]), 0.0, 9),  # eight would lose a tick in each cycle
        ("expected_time", np.array([8.03]), 0.0, 9),
        ("ticket", np.array([8.03]), 0.0, 9),
    ],
)
def test_n_star(name, tau_ticks, quantile, expected):
    assert stagger.n_star(name, tau_ticks, quantile=quantile) == expected


@pytest.mark.parametrize("name", stagger.NAMES)
@pytest.mark.parametrize("rate_hz", [59.7275, 60.0, 1000.0])
def test_whole_ticks_in_whole_nanoseconds_need_no_worker_more(name, rate_hz):
    for ticks in range(1, 70):
        tau_ns = np.round(np.full(3, ticks * 1e9 / rate_hz))
        assert stagger.n_star(name, tau_ns * rate_hz / 1e9) == ticks
    assert stagger.n_star(name, np.array([9.0000001])) == 9


@pytest.mark.parametrize(("name", "quantile"), [("max_time", 0.0), ("max_time", 0.99), ("expected_time", 0.0)])
def test_a_known_estimate_lays_the_phases_out_before_the_first_inference(name, quantile):
    table = announcements.new_table(4)
    algorithm = stagger.make(name, table, quantile=quantile, tau_initial_s=8.0)
    assert announcements.estimate(table) == 8.0
    assert sorted(algorithm.owed(x) for x in range(4)) == [0.0, 2.0, 4.0, 6.0]
    assert algorithm.observe(1, 5.0) == (3.0 if name == "max_time" else 0.0)


@pytest.mark.parametrize("name", OVER_TABLES)
def test_the_estimate_of_a_table_that_has_one_is_kept(name):
    table = announcements.new_table(3)
    table[1, announcements.RISES] = 4.0
    stagger.make(name, table, tau_initial_s=8.0)
    assert announcements.estimate(table) == 4.0


def test_a_known_quantile_gives_way_to_what_is_measured():
    table = announcements.new_table(2)
    algorithm = stagger.make("max_time", table, quantile=0.99, tau_initial_s=12.0)
    for i in range(50):
        algorithm.observe(i % 2, 5.0)
    assert announcements.estimate(table) == 12.0  # one in fifty is more than a hundredth
    for i in range(100):
        algorithm.observe(i % 2, 5.0)
    assert announcements.estimate(table) == 5.0


@pytest.mark.parametrize("quantile", [0.0, 0.99])
def test_workers_that_begin_with_a_known_estimate_act_evenly_from_the_start(quantile):
    _, records, _ = simulate("max_time", 12, normal(10, 0.5), ticks=300, quantile=quantile, tau_initial=12.0)
    _, without, _ = simulate("max_time", 12, normal(10, 0.5), ticks=300, quantile=quantile)
    assert records["is_default"][30:].mean() < 0.05 < without["is_default"][30:].mean()


def test_a_new_algorithm_needs_no_more_than_its_entry(monkeypatch):
    class EveryOther(Ticket):
        def dispatch(self, tick, idle, oldest=0):
            return super().dispatch(tick, idle, oldest) if tick % 2 else []

    class Lazy(Free):
        def owed(self, x):
            return 0.0 if x == 0 else 1e9  # seconds: only one worker ever begins

    by_table = Algorithm(
        "lazy", "a lazy one", False, lambda tau, quantile=0.0: 99, lambda table, q=0.0, t=None: Lazy(table)
    )
    by_ticket = Algorithm("other", "every other", True, lambda tau, quantile=0.0: 98, EveryOther)
    for algorithm in (by_table, by_ticket):
        monkeypatch.setitem(stagger.ALGORITHMS, algorithm.name, algorithm)
    assert stagger.by_name("lazy").label == "a lazy one"
    assert (stagger.n_star("lazy", UNEVEN), stagger.n_star("other", UNEVEN)) == (99, 98)
    _, records, decisions = simulate("lazy", 3, constant(0.9), ticks=100)
    assert set(decisions["decision"]["worker"]) == {0}
    assert not records["is_default"][2:].any()
    _, records, _ = simulate("other", 3, constant(0.9), ticks=100)
    assert records["is_default"][10:].mean() == pytest.approx(0.5, abs=0.02)
