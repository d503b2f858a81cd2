"""Tickets: which observation goes to whom, and how the playout delay follows the times that answers take."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrl_jax.stagger import Ticket

WARM_UP = 16  # of each worker


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


def warm(workers, ticks, samples=None):
    ticket = Ticket(workers)
    ticket.warm_up([ticks] * (samples or WARM_UP * workers))
    return ticket


@given(st.permutations([1] * 5 + [8, 9, 10, 11, 12, 13, 14, 17, 19, 22, 28]))
def test_the_warm_up_counts_as_a_whole_whatever_comes_first(ticks):
    ticket = Ticket(1)
    ticket.warm_up(ticks)
    assert ticket.playout == 28


@pytest.mark.parametrize("seed", range(10))
def test_varying_times_give_a_sensible_delay_from_the_start(seed):
    taken = np.ceil(np.random.default_rng(seed).gamma(4, 2.5, 11 * WARM_UP)).astype(int)  # mean 10, cv 0.5
    ticket = Ticket(11)
    ticket.warm_up(taken.tolist())
    assert 22 <= ticket.playout <= 40  # the 0.995 quantile is 28; one in a hundred is later than 25


@pytest.mark.parametrize("workers", [1, 4, 11])
@pytest.mark.parametrize("usual", [1, 10])
@pytest.mark.parametrize("at", [0, 1, 20, 99])
def test_an_answer_of_ten_times_the_delay_among_the_first_hundred_is_an_outlier(workers, usual, at):
    for ticket in (warm(workers, usual), Ticket(workers)):  # the latter has seen nothing at all when it starts
        other = 0
        for i in range(400):
            ticket.observe(10 * usual if i == at else usual, used_network=True)
            other += ticket.playout != usual
        assert other <= 64


def test_a_machine_that_stands_still_for_a_moment_delays_all_workers_and_not_what_follows():
    ticket = warm(8, 9)
    for i in range(200):
        ticket.observe(40 if 100 <= i < 108 else 9, used_network=True)
        assert ticket.playout == 9


def test_a_slow_answer_while_the_agent_explores_leaves_no_mark():
    """Few answers need the network then: those that follow cannot outvote it for minutes."""
    ticket = warm(1, 1)
    for i in range(4000):
        ticket.observe(1, used_network=False)
        if i % 60 == 30:
            ticket.observe(7 if i in (330, 1530) else 1, used_network=True)
        assert ticket.playout == 1


@pytest.mark.parametrize(("slow", "seconds"), [(4, 16), (12, 70)])
def test_even_several_slow_answers_are_outvoted_soon(slow, seconds):
    """By a few quick ones; a dozen of them only once they are half forgotten."""
    ticket = warm(1, 1)
    for _ in range(slow):
        ticket.observe(7, used_network=True)
    assert ticket.playout == 7
    for i in range(60 * seconds):
        ticket.observe(1, used_network=i % 60 == 0)
    assert ticket.playout == 1


def test_it_follows_a_network_that_has_become_slower_and_one_that_is_often_slow():
    ticket = warm(4, 5)
    for _ in range(16):
        ticket.observe(20, used_network=True)
    assert ticket.playout == 20
    ticket = warm(4, 5)
    for i in range(1000):
        ticket.observe(20 if i % 50 == 0 else 5, used_network=True)
    assert ticket.playout == 20


def test_what_was_learnt_comes_back():
    ticket, again = Ticket(3), Ticket(3)
    for i in range(5000):
        ticket.observe(3 + i % 7, used_network=i % 3 > 0)
    again.restore(ticket.save(), next_tick=40)
    assert again.save() == {**ticket.save(), "next": 40}
    for tick in range(40, 60):
        assert again.dispatch(tick, [0]) == ticket.dispatch(tick, [0])


def test_a_state_saved_by_an_earlier_version_is_read_and_its_delay_reconsidered():
    """Its delay was the longest of the few answers there were."""
    ticket = Ticket(1)
    saved = {"network": [[1, 17.0], [7, 1.0]], "count": 900.0, "total": 906.0, "answers": 900, "playout": 7}
    ticket.restore(saved, next_tick=901)
    assert ticket.mean_ticks == pytest.approx(906 / 900)
    for _ in range(16):
        ticket.observe(1, used_network=False)
    assert ticket.playout == 1


def test_exploratory_answers_count_for_the_playout_where_they_take_as_long():
    delays = []
    for exploring_counts in (False, True):
        ticket = Ticket(4, exploring_counts=exploring_counts)
        for _ in range(200):
            ticket.observe(3, used_network=False)
        delays.append(ticket.playout)
    assert delays == [0, 3]


def test_a_delay_that_its_workers_cannot_keep_up_is_not_taken():
    """With a late head N workers act in N of D ticks: a longer D costs more than the few answers it waits for bring."""
    for workers, expected in ((4, 4), (6, 6)):
        ticket = Ticket(workers, waits=True)
        ticket.warm_up([4] * 98 + [6] * 2)
        assert ticket.playout == expected
    without = Ticket(4)
    without.warm_up([4] * 980 + [6] * 20)
    assert without.playout == 6
    few = Ticket(2, waits=True)  # who can act in half of the ticks at best, and later answers are none
    few.warm_up([4] * 98 + [6] * 2)
    assert few.playout == 4


def test_actions_that_are_held_have_a_ticket_for_each_so_many_th_observation():
    ticket = Ticket(1, playout=4, every=4)
    assert ticket.dispatch(0, []) == []  # its worker is still busy with the episode before
    assert ticket.dispatch(1, [0]) == [(0, 1)]  # so the next observation has to do
    assert [ticket.dispatch(tick, [0]) for tick in (2, 3, 4, 5, 8)] == [[], [], [(0, 4)], [], [(0, 8)]]
    assert ticket.dispatch(9, [0], oldest=9) == [(0, 9)]  # a new episode begins anew
    assert ticket.dispatch(12, [0], oldest=9) == []
    assert ticket.dispatch(13, [0], oldest=9) == [(0, 13)]


def test_a_held_action_makes_up_for_workers():
    ticket = Ticket(3, waits=True, every=4)
    ticket.warm_up([7] * 90 + [12] * 10)
    assert ticket.playout == 12  # three workers, each of whose actions acts for four ticks
