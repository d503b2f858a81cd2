"""Sampling from the board's rings: which transitions, which frames, and what happens at the wrap."""

import math

import numpy as np
import pytest
from acts import Played, horizon
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrl_jax.replay.uniform import UniformReplay

CAPACITY = 64


def test_a_batch_holds_the_frames_actions_and_rewards_of_its_transitions():
    played = Played(CAPACITY, (84, 84, 1), "uint8")
    replay = UniformReplay(played.acts, horizon())
    for tick in range(40):
        played.publish(tick, tick - 2)
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


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 250), st.integers(1, 12), st.integers(1, 7), st.integers(1, 4), st.integers(1, 5), st.integers(0, 1)
)
def test_the_replay_holds_its_capacity_whatever_the_interaction(ticks, delay, period, depth, stride, reference):
    """An act in every `period` ticks; where stacks have frames of their own there is room for them."""
    apart = min(depth, period // math.gcd(period, stride))
    each = 2 * (depth if stride > 1 else apart) if reference else apart
    room = 20 * each + 18 + 4 * (1 + (depth - 1) * stride)
    played = Played(20, (3,), depth=depth, stride=stride, kept_frames=room, undelayed_next=bool(reference))
    replay = UniformReplay(played.acts, horizon())
    applied = [tick for tick in range(ticks) if tick >= delay and tick % period == 0]
    for tick in range(ticks):
        played.publish(tick, tick - delay if tick in applied else -1)
        if tick % 7 == 0:
            replay.ingest()
    replay.ingest()
    assert len(replay) == min(20, max(0, len(applied) - 1))
    assert replay.ingested == max(0, len(applied) - 1)
    if not len(replay):
        return
    batch = replay.sample(np.random.default_rng(0), 1000)
    ours = batch.action + (ticks - 1 - batch.action) // 100 * 100  # the tick, as all are of the last hundred or so
    held = applied[:-1][-20:]
    if held[0] > ticks - 100:
        assert set(ours.tolist()) == set(held)
        decided = ours - delay
        stacks = np.maximum(decided[:, None] - stride * np.arange(depth)[::-1], 0)
        assert (batch.observation.reshape(1000, depth, 3) == stacks[..., None]).all()
        leads_to = ours + period - 1 if reference else decided + period
        assert (batch.next_observation[:, -1] == leads_to).all()


@pytest.mark.parametrize(("period", "depth"), [(1, 1), (1, 3), (4, 1), (4, 3)])
@pytest.mark.parametrize("length", [3, 90])
def test_an_act_of_the_released_script_brings_one_observation_and_an_episode_two_frames(period, depth, length):
    """What an act leads to is what a later one goes on from; and a zero frame is one of its own episode's."""
    delay, each = 3, min(depth, period)
    lag = delay * period + 1
    held = CAPACITY * each + lag // period * each + depth
    in_them = 2 * (CAPACITY // (1 + (length - 2) // period) + 2)  # the frames that this many episodes add
    played = Played(CAPACITY, depth=depth, kept_frames=held + in_them, undelayed_next=True)
    replay = UniformReplay(played.acts, horizon())
    for tick in range(20 + 900):
        since = (tick - 20) % length if tick >= 20 else -1
        acts = since > 0 and (since - 1) % period == 0
        played.publish(
            tick,
            tick - lag if acts else -1,
            max(0, tick - since) if tick >= 20 else 0,
            truncated=tick == 19 or since == length - 1,
        )
    replay.ingest()
    episodes = -(-900 // length)
    assert played.board.kept.head <= played.acts.head * each + 2 * episodes
    assert len(replay) == CAPACITY


def test_a_stack_never_reaches_into_the_episode_before():
    played = Played(CAPACITY, depth=3)
    replay = UniformReplay(played.acts, horizon())
    for tick in range(30):
        start = tick // 10 * 10
        played.publish(tick, tick - 1 if tick > start else -1, start, terminated=tick % 10 == 9)
    replay.ingest()
    batch = replay.sample(np.random.default_rng(0), 500)
    for stack in batch.observation.astype(int):
        assert stack.tolist() == [max(stack[-1] - back, stack[-1] // 10 * 10) for back in (2, 1, 0)]
    assert (batch.discount[batch.next_observation[:, -1] % 10 == 9] == 0).all()


def test_each_frame_is_kept_once():
    played = Played(CAPACITY, depth=4)
    for tick in range(50):
        played.publish(tick, tick - 3, 0)
    played.publish(50, 47, 0, terminated=True)
    assert played.board.kept.head == 51


def test_an_empty_replay_says_so():
    replay = UniformReplay(Played(CAPACITY).acts, horizon())
    with pytest.raises(ValueError, match="empty"):
        replay.sample(np.random.default_rng(0), 16)


def test_a_learner_that_comes_late_finds_what_is_there():
    played = Played(CAPACITY)
    for tick in range(3 * CAPACITY):
        played.publish(tick, tick - 1)
    replay = UniformReplay(played.acts, horizon())
    replay.ingest()
    assert len(replay) == CAPACITY
    batch = replay.sample(np.random.default_rng(0), 500)
    assert (batch.next_observation - batch.observation == 1).all()


def test_where_last_observations_take_room_the_oldest_go_early():
    """Episodes of one decision: each brings two frames, and there is room for one and a few more."""
    played = Played(100, kept_frames=120)
    replay = UniformReplay(played.acts, horizon())
    for episode in range(200):
        played.publish(2 * episode, -1, 2 * episode)
        played.publish(2 * episode + 1, 2 * episode, 2 * episode, terminated=True)
        replay.ingest()
    assert len(replay) == 59  # a ring is not read at its brim
    batch = replay.sample(np.random.default_rng(0), 500)
    assert (batch.next_observation - batch.observation == 1).all()


def test_a_frame_overwritten_while_it_is_gathered_is_drawn_again():
    played = Played(CAPACITY, kept_frames=CAPACITY + 4)
    replay = UniformReplay(played.acts, horizon())
    for tick in range(CAPACITY):
        played.publish(tick, tick - 1)
    replay.ingest()
    gather, overtaken = replay._index.gather, []

    def slow_gather(*arguments):
        if not overtaken:
            overtaken.append(True)
            for tick in range(CAPACITY, CAPACITY + 30):
                played.publish(tick, tick - 1)
        return gather(*arguments)

    replay._index.gather = slow_gather
    batch = replay.sample(np.random.default_rng(0), 200)
    assert (batch.next_observation - batch.observation == 1).all()
    assert batch.observation.min() >= 26
