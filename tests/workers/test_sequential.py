"""The sequential agent in simulated time: delay d and inaction (d − 1)/d with inference of d ticks, and where learning goes."""

import numpy as np
import pytest
from simulation import Counter, private_board

from rtrl_jax.board.layout import RUNNING
from rtrl_jax.board.ring import Observations, Ring
from rtrl_jax.workers.effects import Infer, Learn, Timed, WaitBell
from rtrl_jax.workers.environment import Limits, environment_loop
from rtrl_jax.workers.learning import Gradient
from rtrl_jax.workers.mailbox import Choice, Mailbox
from rtrl_jax.workers.sequential import sequential

TICK = 1000


class EveryLoop:
    """A stand-in for `Learning` that always has something to do."""

    def due(self, newest_tick, learn_every):
        return True

    def scheduled(self, learn_every):
        pass

    def locked_step(self):
        return Gradient(None, 0.0, 0, None, None), 0


def play(inference_ticks, learning_ticks=None, learn_first=False, ticks=400):
    """Returns the tick records of a sequential agent beside an environment with a tick of 1,000 ns."""
    board = private_board(1, capacity=1024)
    board.control[0] = RUNNING
    observations = Observations(board.tick_head, board.tick_rows, board.frames)
    now = [0]
    world = environment_loop(
        Counter(),
        np.zeros(1, np.float32),
        board,
        observations,
        lambda: now[0],
        None,
        rate_hz=1e9 / TICK,
        default_action=0,
        repeat=False,
        limits=Limits(None, ticks, None),
        groups=[1],
        listeners=[1],
    )
    agent = sequential(
        Mailbox(board, 0, lambda: now[0]),
        observations,
        lambda obs_tick: Choice(1, True, 0),
        EveryLoop() if learning_ticks else None,
        Ring(board.update_head[:1], board.update_rows[0]),
        learn_first=learn_first,
        learn_every=1,
        start_ns=0,
    )
    boundary, effect = next(world), next(agent)
    resume_at, answer = effect.until_ns, None
    try:
        while True:
            if resume_at is not None and resume_at <= boundary.due_ns - 1:
                now[0] = resume_at
                effect = agent.send(answer or now[0])
                answer = None
                if isinstance(effect, Infer | Learn):
                    length = round(TICK * (inference_ticks if isinstance(effect, Infer) else learning_ticks))
                    resume_at = now[0] + length
                    answer = Timed(effect.compute(), now[0], resume_at)
                elif isinstance(effect, WaitBell):
                    resume_at = None
            else:
                now[0] = boundary.due_ns
                boundary = world.send(now[0])
                if resume_at is None:
                    resume_at = now[0]
    except StopIteration:
        return observations.ticks.read(0)[1]


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_inference_of_d_ticks_gives_delay_d_and_inaction_d_minus_1_of_d(d):
    records = play(d - 0.3)
    acted = np.flatnonzero(~records["is_default"])
    assert (acted - records["obs_tick"][acted] == d).all()
    assert records["is_default"][1:].mean() == pytest.approx((d - 1) / d, abs=0.02)


@pytest.mark.parametrize("learn_first", [False, True])
def test_learning_blocks_acting_in_either_order(learn_first):
    records = play(1.7, learning_ticks=3.1, learn_first=learn_first)
    acted = np.flatnonzero(~records["is_default"])
    gaps, delays = np.diff(acted), acted - records["obs_tick"][acted]
    # Infer first: the action acts two ticks after its observation, while learning goes on. Learn first: the newest
    # observation is read only after learning, so the delay is the same, and the cycle waits for its action to act.
    assert gaps.mean() == pytest.approx(5 if not learn_first else 6, abs=1.01)
    assert (delays <= 3).all()
    assert records["is_default"].mean() > 0.75
