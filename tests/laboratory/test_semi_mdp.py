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
from rtrl_jax.pending import UNTOLD, Pending
from rtrl_jax.replay.transitions import Horizon

TICKS, GAMMA, BITS = 3000, 0.9, 30


def _step(state, action, key):
    words, chance = jax.random.split(key)
    terminated, truncated = jax.random.uniform(chance, (2,)) < 0.03
    return jax.random.bits(words), action + jax.random.randint(chance, (), -3, 4) * 10.0, terminated, truncated


# Every observation is another, rewards depend on the action, and episodes end of either kind, or both at once.
NOISE = World(5, BITS, jax.random.bits, _step, lambda state: (state >> jnp.arange(BITS, dtype=jnp.uint32)) & 1 == 1, "")


@partial(jax.jit, static_argnames=("window", "manner"))
def play(latency, key, window=16, manner=semi_mdp.Manner(GAMMA)):  # noqa: B008
    def one_tick(play, number):
        tick_key, action_key = jax.random.split(jax.random.fold_in(key, number))
        action = jax.random.randint(action_key, (), 0, NOISE.actions)
        play, record, completed = semi_mdp.tick(NOISE, play, number, latency, lambda _: action, manner, tick_key)
        return play, (record, completed)

    return jax.lax.scan(one_tick, semi_mdp.start(NOISE, window, manner, key), jnp.arange(TICKS))[1]


def in_order(completed):
    """The transitions of a play, in the order they are put in the replay."""
    there = np.stack([completed[0][0], completed[1][0]], axis=1)  # [ticks, 2]
    found = [np.stack(pair, axis=1)[there] for pair in zip(completed[0][1], completed[1][1], strict=True)]
    return semi_mdp.Transition(*found)


@pytest.mark.parametrize("per_tick", [False, True])
@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize(("mean", "spread"), [(1, 0.0), (2, 0.0), (7, 0.0), (16, 0.0), (8, 0.9)])
def test_transitions_are_those_of_the_real_system(mean, spread, sequential, per_tick):
    latency = timing.latency(mean, spread, sequential)
    played = play(latency, jax.random.key(mean), manner=semi_mdp.Manner(GAMMA, per_tick))
    record, completed = jax.tree.map(np.asarray, played)
    ticks = np.zeros(TICKS, TICK)
    for name in ("obs_tick", "episode_start", "action", "reward", "terminated", "truncated"):
        ticks[name] = getattr(record, name)
    ticks["tick"], ticks["is_default"] = np.arange(TICKS), record.obs_tick == timing.NEVER
    assert (ticks["action"][ticks["is_default"]] == semi_mdp.BETA).all()
    columns = zip(*transitions(ticks, Horizon(GAMMA, per_tick)), strict=True)
    expected = dict(
        zip(("obs_tick", "next_tick", "action", "reward", "discount"), map(np.array, columns), strict=False)
    )
    obs_tick, next_tick = (expected[name].astype(int) for name in ("obs_tick", "next_tick"))
    assert len(obs_tick) > 20

    found = in_order(completed)
    np.testing.assert_array_equal(found.observation, record.observation[obs_tick])
    np.testing.assert_array_equal(found.action, expected["action"])
    np.testing.assert_allclose(found.reward, expected["reward"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.discount, expected["discount"], rtol=1e-6)
    np.testing.assert_array_equal(found.next_observation, record.observation[next_tick])


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("kind", ["late", "history"])
def test_what_is_told_are_the_actions_that_were_in_force(kind, sequential, newest):
    """Of late heads those after the observation and before the decision acts, β's among them; of history those until it."""
    if newest and kind == "history":
        pytest.skip("the head is what acts at every tick")
    length = 13
    manner = semi_mdp.Manner(GAMMA, pending=Pending(kind, length), newest=newest)
    latency = timing.latency(6, 0.9, sequential, playout=not newest)
    record, completed = jax.tree.map(np.asarray, play(latency, jax.random.key(5), 24, manner))
    found = in_order(completed)
    acted = np.flatnonzero(record.obs_tick != timing.NEVER)

    def expected(first, last):
        ticks = range(last - length + 1, last + 1)
        return [record.action[tick] if tick >= first else UNTOLD for tick in ticks]

    assert len(found.action) >= len(acted) - 1
    for number, tick in enumerate(acted[: len(found.action)]):
        m = record.obs_tick[tick]
        told = expected(m + 1, tick - 1) if kind == "late" else expected(record.episode_start[m] + 1, m)
        assert found.observation[number].tolist() == [*record.observation[m], *told]
    goes_on = np.flatnonzero(np.diff(record.episode_start[acted]) == 0)
    goes_on = goes_on[goes_on < len(found.action) - 1]
    np.testing.assert_array_equal(found.next_observation[goes_on], found.observation[goes_on + 1])
    if kind == "late":
        ends = np.setdiff1d(np.arange(len(found.action) - 1), goes_on)
        assert len(ends) > 20
        assert (found.next_observation[ends][:, BITS:] == UNTOLD).all()


def test_a_decision_that_is_held_acts_until_the_next():
    latency = timing.latency(4, every=4)
    record, _ = jax.tree.map(np.asarray, play(latency, jax.random.key(2)))
    acts = record.obs_tick != timing.NEVER
    since = np.arange(TICKS) - record.episode_start
    assert (since[acts] % 4 == 0).all()
    held = ~acts & (since > 4)
    assert (record.action[held] == record.action[np.flatnonzero(held) - 1]).all()
    assert (record.action[since < 4] == semi_mdp.BETA).all()


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
