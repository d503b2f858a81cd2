"""The paper's code's accounting of transitions: S is delayed, S' is not; and what has terminated is bootstrapped from."""

import numpy as np
import pytest
from acts import transitions

from rtrl_jax.board.records import TICK
from rtrl_jax.replay.transitions import Horizon


@pytest.mark.parametrize(("undelayed_next", "next_tick"), [(False, 4), (True, 7)])
def test_next_observation(undelayed_next, next_tick):
    ticks = np.zeros(9, TICK)
    ticks["is_default"], ticks["obs_tick"] = True, -1
    for tick, obs_tick in ((4, 0), (8, 4)):
        ticks["is_default"][tick], ticks["obs_tick"][tick] = False, obs_tick
    ticks["tick"] = np.arange(9)
    (transition,) = transitions(ticks, Horizon(0.99), undelayed_next=undelayed_next)
    assert transition[:2] == (0, next_tick)


@pytest.mark.parametrize(("through_done", "discount"), [(False, 0.0), (True, 0.5)])
def test_what_has_terminated(through_done, discount):
    ticks = np.zeros(3, TICK)
    ticks["tick"], ticks["is_default"], ticks["terminated"] = np.arange(3), [True, False, True], [False, False, True]
    (transition,) = transitions(ticks, Horizon(0.5, through_done=through_done))
    assert (transition[1], transition[4]) == (2, discount)
