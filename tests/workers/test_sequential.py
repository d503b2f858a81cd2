"""The sequential agent in simulated time: delay d and inaction (d − 1)/d with inference of d ticks, and where learning goes."""

from itertools import repeat

import numpy as np
import pytest
from simulation import play_sequentially

from rtrl_jax.workers.learning import Gradient

TICKS = 400


class EveryLoop:
    """A stand-in for `Learning` that always has something to do."""

    def due(self, newest_tick, learn_every):
        return True

    def scheduled(self, learn_every):
        pass

    def locked_step(self):
        return Gradient(None, 0.0, 0, None, None), 0


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_inference_of_d_ticks_gives_delay_d_and_inaction_d_minus_1_of_d(d):
    records = play_sequentially(repeat(d - 0.3), TICKS)
    acted = np.flatnonzero(~records["is_default"])
    assert (acted - records["obs_tick"][acted] == d).all()
    assert records["is_default"][1:].mean() == pytest.approx((d - 1) / d, abs=0.02)


@pytest.mark.parametrize("learn_first", [False, True])
def test_learning_blocks_acting_in_either_order(learn_first):
    records = play_sequentially(repeat(1.7), TICKS, learning=EveryLoop(), updates=repeat(3.1), learn_first=learn_first)
    acted = np.flatnonzero(~records["is_default"])
    gaps, delays = np.diff(acted), acted - records["obs_tick"][acted]
    # Infer first: the action acts two ticks after its observation, while learning goes on. Learn first: the newest
    # observation is read only after learning, so the delay is the same, and the cycle waits for its action to act.
    assert gaps.mean() == pytest.approx(5 if not learn_first else 6, abs=1.01)
    assert (delays <= 3).all()
    assert records["is_default"].mean() > 0.75
