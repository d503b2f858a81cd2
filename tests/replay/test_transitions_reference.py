"""The paper's code's accounting of transitions: S is delayed, S' is not."""

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
