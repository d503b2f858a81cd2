"""The pace and the age of what the paper's released delay script acts on."""

from rtrl_jax.stagger import Cadence, Fixed


def given(fixed, ticks, oldest):
    return [(tick, *tickets[0]) for tick in ticks if (tickets := fixed.dispatch(tick, [7, 8], oldest=oldest))]


def test_what_acts_in_the_next_tick_is_handed_out_once_in_every_period_of_an_episode():
    fixed = Fixed(Cadence(period=4, lag=13))
    assert fixed.playout == 13
    assert given(fixed, range(25), 0) == [(12, 7, 0), (16, 7, 4), (20, 7, 8), (24, 7, 12)]
    assert given(fixed, range(25, 50), 25) == [(37, 7, 25), (41, 7, 29), (45, 7, 33), (49, 7, 37)]


def test_zero_frames_stand_for_what_was_before_the_episode():
    fixed = Fixed(Cadence(period=4, lag=13, zero_frames=True))
    assert given(fixed, range(30, 48), 30) == [(30, 7, 18), (34, 7, 22), (38, 7, 26), (42, 7, 30), (46, 7, 34)]


def test_without_an_idle_worker_nobody_decides():
    assert Fixed(Cadence(period=1, lag=1)).dispatch(0, []) == []
