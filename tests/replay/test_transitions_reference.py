"""The paper's code's accounting of transitions: S is delayed, S' is not."""

import numpy as np
import pytest

from rtrl_jax.board.records import TICK
from rtrl_jax.replay.transitions import TransitionBuilder


@pytest.mark.parametrize(("undelayed_next", "next_tick"), [(False, 4), (True, 7)])
def test_next_observation(undelayed_next, next_tick):
    ticks = np.zeros(9, TICK)
    ticks["is_default"], ticks["obs_tick"] = True, -1
    for tick, obs_tick in ((4, 0), (8, 4)):
        ticks["is_default"][tick], ticks["obs_tick"][tick] = False, obs_tick
    builder = TransitionBuilder(0.99, undelayed_next=undelayed_next)
    ticks["tick"] = np.arange(9)
    (transition,) = builder.feed(ticks)
    assert (transition["obs_tick"], transition["next_tick"]) == (0, next_tick)
