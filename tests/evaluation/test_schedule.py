"""Which decision acts when, against the definitions in docs/semantics.md followed tick by tick."""

import pytest

from rtrl_jax.evaluation.schedule import NEVER, asynchronous, sequential


def test_delay_one_is_the_ordinary_paused_world():
    for schedule in (asynchronous(1), sequential(1)):
        assert [schedule.source(tick) for tick in range(1, 6)] == [0, 1, 2, 3, 4]
        assert all(schedule.decides(observation) for observation in range(6))


def test_asynchronous_decisions_are_each_as_old_as_the_delay():
    assert [asynchronous(3).source(tick) for tick in range(1, 8)] == [None, None, 0, 1, 2, 3, 4]


def test_held_actions_are_frame_skip_when_there_is_no_delay():
    for schedule in (asynchronous(1, hold=4), sequential(1, hold=4)):
        assert [schedule.source(tick) for tick in range(1, 10)] == [0, 0, 0, 0, 4, 4, 4, 4, 8]
        assert [o for o in range(10) if schedule.decides(o)] == [0, 4, 8]


def test_held_actions_that_come_late():
    assert [asynchronous(3, hold=2).source(tick) for tick in range(1, 9)] == [None, None, 0, 0, 2, 2, 4, 4]


@pytest.mark.parametrize("delay", [1, 2, 4, 7])
@pytest.mark.parametrize("hold", [1, 3])
def test_sequential_as_a_process_that_blocks(delay, hold):
    expected, observation = [], 0
    while len(expected) < 60:
        expected += [None] * (delay - 1) + [observation] * hold  # β while it thinks, then its action
        observation = len(expected)  # made by the last tick it acted in
    schedule = sequential(delay, hold)
    assert [schedule.source(tick) for tick in range(1, len(expected) + 1)] == expected
    assert expected.count(None) / len(expected) == pytest.approx((delay - 1) / (delay - 1 + hold))
    assert all(schedule.decides(source) for source in expected if source is not None)


@pytest.mark.parametrize("delay", [1, 2, 5, 12])
@pytest.mark.parametrize("hold", [1, 4])
def test_every_action_comes_from_a_decision_that_had_its_time(delay, hold):
    for schedule in (asynchronous(delay, hold), sequential(delay, hold)):
        for tick in range(1, 80):
            source = schedule.source(tick)
            assert source is None or (schedule.decides(source) and delay <= tick - source < delay + hold)


def test_never():
    assert not any(NEVER.decides(n) or NEVER.source(n + 1) is not None for n in range(10))
