"""Sampling from the board's ring: which transitions, which frames, and what happens at the wrap."""

import mmap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_jax.board.layout import Board, Dimensions, size
from rtrl_jax.replay.transitions import TransitionBuilder
from rtrl_jax.replay.uniform import UniformReplay

CAPACITY = 64


def empty_ring(shape=(84, 84, 1), dtype="uint8"):
    dimensions = Dimensions(CAPACITY, shape, dtype, 1, 262, 1, 2, 1, 64)
    board = Board(dimensions, mmap.mmap(-1, size(dimensions)))
    return board.observations


def publish(observations, tick, obs_tick, episode_start=0, terminated=False):
    """Frame n is full of n, the reward of tick n is n; an action is its tick, modulo 100."""
    observations.publish(
        np.full(observations.frames.shape[1:], tick % 251, observations.frames.dtype),
        (
            tick,
            0,
            0,
            0,
            obs_tick,
            episode_start,
            float(tick),
            tick % 100,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            obs_tick < 0,
            terminated,
            False,
        ),
    )


def test_a_batch_holds_the_frames_actions_and_rewards_of_its_transitions():
    observations = empty_ring()
    replay = UniformReplay(observations, TransitionBuilder(0.9), frame_stack=1)
    for tick in range(40):
        publish(observations, tick, tick - 2 if tick >= 2 else -1)
    replay.ingest()
    batch = replay.sample(np.random.default_rng(0), 500)
    seen = batch.observation[:, 0, 0, 0].astype(int)
    assert batch.observation.shape == (500, 84, 84, 1)
    assert (batch.observation == seen[:, None, None, None]).all()
    assert (batch.next_observation[:, 5, 5, 0] == seen + 1).all()
    assert (batch.action == seen + 2).all()
    assert (batch.reward == seen + 2).all()
    assert (batch.discount == np.float32(0.9)).all()
    assert set(seen) == set(range(37)), "every stored transition should be drawn"


@settings(max_examples=25, deadline=None)
@given(st.integers(CAPACITY, 4 * CAPACITY), st.integers(1, 12), st.integers(1, 4))
def test_after_the_wrap_only_what_is_still_there_is_drawn_and_all_of_it(ticks, delay, depth):
    observations = empty_ring((3,), "float32")
    replay = UniformReplay(observations, TransitionBuilder(0.9), frame_stack=depth)
    for tick in range(ticks):
        publish(observations, tick, tick - delay if tick >= delay else -1)
        if tick % 7 == 0:
            replay.ingest()
    replay.ingest()
    batch = replay.sample(np.random.default_rng(0), 2000)
    newest_of_stack = batch.observation[:, -1].astype(int)
    action = (newest_of_stack + delay) % 100
    alive = {m % 251 for m in range(ticks - CAPACITY + depth + 1, ticks - delay - 1) if m >= 0}
    assert set(newest_of_stack.tolist()) <= alive | {(ticks - CAPACITY + depth) % 251}
    assert len(set(newest_of_stack.tolist())) >= len(alive) - 1
    if ticks < 250:
        assert (batch.action == action).all()


def test_a_stack_never_reaches_into_the_episode_before():
    observations = empty_ring((1,), "float32")
    replay = UniformReplay(observations, TransitionBuilder(0.9), frame_stack=3)
    for tick in range(30):
        start = tick // 10 * 10
        publish(observations, tick, tick - 1 if tick > start else -1, start, terminated=tick % 10 == 9)
    replay.ingest()
    batch = replay.sample(np.random.default_rng(0), 500)
    for stack in batch.observation.astype(int):
        assert (stack // 10 == stack[-1] // 10).all()
    first = batch.observation[batch.observation[:, -1] % 10 == 0].astype(int)
    assert len(first)
    assert (first == first[:, -1:]).all()
    assert (batch.discount[batch.next_observation[:, -1] % 10 == 9] == 0).all()


def test_an_empty_replay_says_so():
    replay = UniformReplay(empty_ring(), TransitionBuilder(0.9), 1)
    with pytest.raises(ValueError, match="empty"):
        replay.sample(np.random.default_rng(0), 16)


def test_ticks_that_were_missed_leave_no_transition_across_the_gap():
    observations = empty_ring((1,), "float32")
    replay = UniformReplay(observations, TransitionBuilder(0.9), 1)
    publish(observations, 0, -1)
    publish(observations, 1, 0)
    replay.ingest()
    for tick in range(2, 2 + 3 * CAPACITY):
        publish(observations, tick, tick - 1)
    replay.ingest()
    batch = replay.sample(np.random.default_rng(0), 500)
    assert (batch.next_observation - batch.observation).max() <= 1


def test_learning_can_begin_when_a_slow_agent_fills_less_of_the_ring_than_it_asks_for():
    observations = empty_ring((1,), "float32")
    replay = UniformReplay(observations, TransitionBuilder(0.9), 1)
    for tick in range(20 * CAPACITY):
        publish(observations, tick, tick - 10 if tick % 10 == 0 and tick else -1)
        replay.ingest()
    assert len(replay) < 10
    assert replay.ingested > CAPACITY


def test_a_frame_overwritten_while_it_is_gathered_is_drawn_again():
    observations = empty_ring((1,), "float32")
    replay = UniformReplay(observations, TransitionBuilder(0.9), 1)
    for tick in range(CAPACITY):
        publish(observations, tick, tick - 1)
    replay.ingest()
    gather, overtaken = replay._index.gather, []

    def slow_gather(*arguments):
        if not overtaken:
            overtaken.append(True)
            for tick in range(CAPACITY, CAPACITY + 30):
                publish(observations, tick, tick - 1)
        return gather(*arguments)

    replay._index.gather = slow_gather
    batch = replay.sample(np.random.default_rng(0), 200)
    assert (batch.next_observation - batch.observation == 1).all()
    assert batch.observation.min() >= 30
