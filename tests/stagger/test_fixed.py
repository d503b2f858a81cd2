"""The spacing of the paper's simulation."""

from rtrl_jax.stagger import Fixed


def test_one_observation_in_every_period_from_the_start_of_an_episode_on():
    fixed = Fixed(period=4, playout=16)
    given = [(tick, fixed.dispatch(tick, [7, 8], oldest=0)) for tick in range(10)]
    assert [(tick, tickets) for tick, tickets in given if tickets] == [(0, [(7, 0)]), (4, [(7, 4)]), (8, [(7, 8)])]
    given = [(tick, fixed.dispatch(tick, [3], oldest=10)) for tick in range(10, 16)]
    assert [(tick, tickets) for tick, tickets in given if tickets] == [(10, [(3, 10)]), (14, [(3, 14)])]


def test_without_an_idle_worker_it_waits_for_one():
    fixed = Fixed(period=4, playout=16)
    assert fixed.dispatch(0, []) == []
    assert fixed.dispatch(1, [0]) == [(0, 1)]
