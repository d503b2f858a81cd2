"""The sequential agent in simulated time: delay d and inaction (d − 1)/d with inference of d ticks, and where learning goes."""

from itertools import repeat

import numpy as np
import pytest
from simulation import play_sequentially

from rtrl_jax.workers.learner import Applied, Figures, Gradients

TICKS = 400


class EveryLoop:
    """A stand-in for `Learning` that always has something to do."""

    made = counted = 0

    def due(self, newest_tick, learn_every):
        return True

    def scheduled(self, learn_every):
        self.counted += 1

    def step(self):
        self.made += 1
        return Gradients(None, Figures(0.0, 0.0, 0.0, 0.0), 0, None, None), Applied(0, 0.0)


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_inference_of_d_ticks_gives_delay_d_and_inaction_d_minus_1_of_d(d):
    records = play_sequentially(repeat(d - 0.3), TICKS)
    acted = np.flatnonzero(~records["is_default"])
    assert (acted - records["obs_tick"][acted] == d).all()
    assert records["is_default"][1:].mean() == pytest.approx((d - 1) / d, abs=0.02)


@pytest.mark.parametrize("learn_first", [False, True])
def test_learning_blocks_acting_in_either_order(learn_first):
    learning = EveryLoop()
    records = play_sequentially(repeat(1.7), TICKS, learning=learning, updates=repeat(3.1), learn_first=learn_first)
    assert learning.made - 1 <= learning.counted <= learning.made  # the run may end during one
    acted = np.flatnonzero(~records["is_default"])
    gaps, delays = np.diff(acted), acted - records["obs_tick"][acted]
    # Infer first: the action acts two ticks after its observation, while learning goes on. Learn first: the newest
    # observation is read only after learning, so the delay is the same, and the cycle waits for its action to act.
    assert gaps.mean() == pytest.approx(5 if not learn_first else 6, abs=1.01)
    assert (delays <= 3).all()
    assert records["is_default"].mean() > 0.75


def test_an_action_that_has_acted_so_long_ago_that_it_is_forgotten_is_not_waited_for():
    records = play_sequentially(repeat(0.7), 170, learning=EveryLoop(), updates=repeat(50), capacity=40)
    assert len(records) < 40
    assert not records["is_default"].all()
