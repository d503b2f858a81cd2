"""Tickets: which observation goes to whom, and how the playout delay follows the times that answers take."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from rtrl_jax.stagger import Ticket


def test_each_observation_goes_out_once_and_the_oldest_in_time_first():
    ticket = Ticket(4, playout=10)
    for _ in range(100):
        ticket.observe(4, used_network=True)  # so an observation may be 6 ticks old and still be in time
    assert ticket.dispatch(20, [0]) == [(0, 14)]
    assert ticket.dispatch(20, [1, 2]) == [(1, 15), (2, 16)]
    assert ticket.dispatch(40, [3]) == [(3, 34)]


def test_no_observation_of_an_earlier_episode_is_handed_out():
    ticket = Ticket(2, playout=10)
    assert ticket.dispatch(20, [0, 1], oldest=19) == [(0, 19), (1, 20)]
    assert ticket.dispatch(20, [0, 1], oldest=19) == []


@given(st.integers(2, 30), st.integers(1, 29))
def test_with_too_few_workers_the_newest_observation_goes_out_at_an_even_pace(tau, workers):
    workers = min(workers, tau - 1)
    if workers >= 0.95 * tau:
        return
    ticket = Ticket(workers, playout=None)
    for _ in range(1000):
        ticket.observe(tau, used_network=True)
    given_at = [tick for tick in range(2000) if ticket.dispatch(tick, [0])]
    gaps = [b - a for a, b in itertools.pairwise(given_at[10:])]
    assert max(gaps) - min(gaps) <= 1
    assert abs(sum(gaps) / len(gaps) - tau / workers) < 0.05 * tau / workers
    assert all(ticket.dispatch(tick, [0]) in ([], [(0, tick)]) for tick in range(2000, 2100))


def test_playout_is_the_stated_quantile_and_does_not_flicker():
    ticket = Ticket(1, playout=None)
    for i in range(20_000):
        ticket.observe(30 if i % 100 == 0 else 3 if i % 10 == 0 else 2, used_network=True)
    assert ticket.playout == 30  # one in a hundred is later than 3, which is more than 0.5 %
    changes = set()
    for i in range(20_000):
        ticket.observe(3 if i % 10 == 0 else 2, used_network=True)
        changes.add(ticket.playout)
    assert ticket.playout == 3
    assert changes == {30, 3}


def test_exploratory_answers_count_for_n_star_and_not_for_playout():
    ticket = Ticket(1, playout=None)
    for _ in range(5000):
        ticket.observe(1, used_network=False)
        ticket.observe(9, used_network=True)
    assert ticket.playout == 9
    assert abs(ticket.mean_ticks - 5.0) < 1e-6


def test_playout_can_be_fixed_or_off():
    for playout, expected in ((7, 7), (0, 0)):
        ticket = Ticket(1, playout=playout)
        for _ in range(600):
            ticket.observe(4, used_network=True)
        assert ticket.playout == expected
