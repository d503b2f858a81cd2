"""The laboratory's transitions against `replay.transitions`, on the record of the same ticks; and the rules of its worlds."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from acts import transitions

from rtrl_jax.board.records import TICK
from rtrl_jax.laboratory import semi_mdp, timing
from rtrl_jax.laboratory.worlds import WORLDS, World
from rtrl_jax.replay.transitions import Horizon

TICKS, GAMMA, BITS = 3000, 0.9, 30


def _step(state, action, key):
    words, chance = jax.random.split(key)
    terminated, truncated = jax.random.uniform(chance, (2,)) < 0.03
    return jax.random.bits(words), action + jax.random.randint(chance, (), -3, 4) * 10.0, terminated, truncated


# Every observation is another, rewards depend on the action, and episodes end of either kind, or both at once.
NOISE = World(5, BITS, jax.random.bits, _step, lambda state: (state >> jnp.arange(BITS, dtype=jnp.uint32)) & 1 == 1, "")


@partial(jax.jit, static_argnames=("window",))
def play(latency, key, window=16):
    def one_tick(play, number):
        tick_key, action_key = jax.random.split(jax.random.fold_in(key, number))
        action = jax.random.randint(action_key, (), 0, NOISE.actions)
        play, record, completed = semi_mdp.tick(NOISE, play, number, latency, lambda _: action, GAMMA, tick_key)
        return play, (record, completed)

    return jax.lax.scan(one_tick, semi_mdp.start(NOISE, window, key), jnp.arange(TICKS))[1]


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize(("mean", "spread"), [(1, 0.0), (2, 0.0), (7, 0.0), (16, 0.0), (8, 0.9)])
def test_transitions_are_those_of_the_real_system(mean, spread, sequential):
    latency = timing.latency(mean, spread, sequential)
    record, completed = jax.tree.map(np.asarray, play(latency, jax.random.key(mean)))
    ticks = np.zeros(TICKS, TICK)
    for name in ("obs_tick", "episode_start", "action", "reward", "terminated", "truncated"):
        ticks[name] = getattr(record, name)
    ticks["tick"], ticks["is_default"] = np.arange(TICKS), record.obs_tick == timing.NEVER
    assert (ticks["action"][ticks["is_default"]] == semi_mdp.BETA).all()
    columns = zip(*transitions(ticks, Horizon(GAMMA)), strict=True)
    expected = dict(
        zip(("obs_tick", "next_tick", "action", "reward", "discount"), map(np.array, columns), strict=False)
    )
    obs_tick, next_tick = (expected[name].astype(int) for name in ("obs_tick", "next_tick"))
    assert len(obs_tick) > 20

    there = np.stack([completed[0][0], completed[1][0]], axis=1)  # [ticks, 2]: in the order they are put in the replay
    found = [np.stack(pair, axis=1)[there] for pair in zip(completed[0][1], completed[1][1], strict=True)]
    found = semi_mdp.Transition(*found)
    np.testing.assert_array_equal(found.observation, record.observation[obs_tick])
    np.testing.assert_array_equal(found.action, expected["action"])
    np.testing.assert_allclose(found.reward, expected["reward"])
    np.testing.assert_allclose(found.discount, expected["discount"], rtol=1e-6)
    np.testing.assert_array_equal(found.next_observation, record.observation[next_tick])


def episode(world, policy, ticks=1200):
    """(rewards, terminated, truncated) of the steps of one episode."""
    key, rewards, step = jax.random.key(3), [], jax.jit(world.step)
    state = world.reset(key)
    for tick in range(ticks):
        state, reward, terminated, truncated = step(state, policy(state), jax.random.fold_in(key, tick))
        rewards.append(float(reward))
        if terminated or truncated:
            return rewards, bool(terminated), bool(truncated)
    raise AssertionError("the episode does not end")


def towards(state):
    """The paddle's move towards the column where the ball is."""
    return 1 + int(state.ball_x > state.paddle) if state.ball_x != state.paddle else 0


def test_whoever_follows_the_ball_catches_all_ten():
    rewards, terminated, truncated = episode(WORLDS["catch"], towards)
    assert (sum(rewards), len(rewards), terminated, truncated) == (10, 150, False, True)


def test_whoever_follows_the_ball_clears_walls_and_whoever_does_not_loses_it():
    rewards, terminated, truncated = episode(WORLDS["breakout"], towards)
    assert sum(rewards) > 10
    assert truncated != terminated
    rewards, terminated, truncated = episode(WORLDS["breakout"], lambda state: 1)
    assert (terminated, truncated) == (True, False)
    assert len(rewards) < 1000


def test_the_chain_pays_for_naming_its_state():
    world = WORLDS["chain"]
    rewards, terminated, truncated = episode(world, lambda state: int(state.position) + 1)
    assert (sum(rewards), len(rewards), terminated, truncated) == (100, 100, False, True)
    assert sum(episode(world, lambda state: 0)[0]) == 0
    assert world.best(1, False) == world.best(1, True) == 100


@pytest.mark.parametrize("name", WORLDS)
def test_an_observation_tells_states_apart(name):
    world = WORLDS[name]
    bits = world.observe(world.reset(jax.random.key(0)))
    assert (bits.shape, bits.dtype) == ((world.features,), bool)
