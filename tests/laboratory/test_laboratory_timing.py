"""The timing model against the real loops, tick by tick, with the same inference times."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from simulation import play_sequentially, simulate

from rtrl_jax.laboratory import timing

TICKS, WINDOW = 1500, 24


@partial(jax.jit, static_argnames=("episode_length",))
def model(took, playout, workers, episode_length=None):
    """obs_tick of every tick: int32 [ticks], −1 where β acts. Inference i takes `took[i]` ticks."""

    def one_tick(carry, tick):
        state, fresh, episode_start, steps, inferences = carry
        episode_start, steps = jnp.where(fresh, tick, episode_start), jnp.where(fresh, 0, steps + 1)
        over = jnp.bool_(False) if episode_length is None else steps == episode_length
        state, obs_tick = timing.latch(state, tick, episode_start)
        state, begins = timing.hand_out(state, tick, took[inferences], playout, workers, over)
        return (state, over, episode_start, steps, inferences + begins), obs_tick

    start = (timing.start(WINDOW), jnp.bool_(True), jnp.int32(0), jnp.int32(0), jnp.int32(0))
    return jax.lax.scan(one_tick, start, jnp.arange(TICKS))[1]


def modelled(latencies, playout, is_sequential, episode_length=None):
    took = jnp.asarray(np.ceil(latencies), jnp.int32)
    return np.asarray(model(took, jnp.int32(playout), jnp.int32(1 if is_sequential else timing.MANY), episode_length))


def assert_same(records, obs_tick):
    np.testing.assert_array_equal(records["obs_tick"], obs_tick)
    np.testing.assert_array_equal(records["is_default"], obs_tick == timing.NEVER)


CONSTANT = {f"constant {d}": np.full(TICKS, d - 0.3) for d in (1, 2, 5, 16)}
VARYING = {
    "uniform": np.random.default_rng(1).uniform(0.1, 9.9, TICKS),
    "gamma": np.minimum(np.random.default_rng(2).gamma(4, 1.5, TICKS), WINDOW - 0.1),
}
EPISODES = [None, 7, 40]


@pytest.mark.parametrize("episode_length", EPISODES)
@pytest.mark.parametrize("latencies", CONSTANT.values(), ids=CONSTANT)
def test_tickets_of_constant_delay(latencies, episode_length):
    d = int(np.ceil(latencies[0]))
    _, records, _ = simulate(
        "ticket",
        d,
        lambda rng, number: (latencies[number], True),
        ticks=TICKS,
        playout=d,
        episode_length=episode_length,
    )
    obs_tick = modelled(latencies, d, False, episode_length)
    assert_same(records, obs_tick)
    acted = np.flatnonzero(obs_tick >= 0)
    assert (acted - obs_tick[acted] == d).all()
    if episode_length is None:
        assert acted.tolist() == list(range(d, TICKS))  # every tick after the first d


@pytest.mark.parametrize("episode_length", EPISODES)
@pytest.mark.parametrize("playout", [0, 5, 10])
@pytest.mark.parametrize("latencies", VARYING.values(), ids=VARYING)
def test_tickets_of_varying_inference_with_playout_early_enough_to_be_late(latencies, playout, episode_length):
    _, records, _ = simulate(
        "ticket",
        WINDOW,
        lambda rng, number: (latencies[number], True),
        ticks=TICKS,
        playout=playout,
        episode_length=episode_length,
    )
    obs_tick = modelled(latencies, playout, False, episode_length)
    assert_same(records, obs_tick)
    acted = np.flatnonzero(obs_tick >= 0)
    assert len(np.unique(acted - obs_tick[acted])) > 1 or playout == 10


@pytest.mark.parametrize("episode_length", EPISODES)
@pytest.mark.parametrize("latencies", (CONSTANT | VARYING).values(), ids=CONSTANT | VARYING)
def test_the_sequential_agent(latencies, episode_length):
    records = play_sequentially(latencies, TICKS, episode_length=episode_length)
    assert_same(records, modelled(latencies, 0, True, episode_length))


def test_a_sequential_agent_of_d_ticks_has_delay_d_and_inaction_d_minus_1_of_d():
    obs_tick = modelled(np.full(TICKS, 4.7), 0, True)
    acted = np.flatnonzero(obs_tick >= 0)
    assert acted.tolist() == list(range(5, TICKS, 5))
    assert (obs_tick[acted] == acted - 5).all()


def test_a_constant_latency_is_just_that_many_ticks():
    ticks = np.arange(1, 1001)
    any_mean = timing.latency(1000, 0.0, False)
    drawn = jax.vmap(lambda mean: timing.draw(any_mean._replace(mean=mean), jax.random.key(0)))
    np.testing.assert_array_equal(drawn(jnp.asarray(ticks, jnp.float32)), ticks)
    assert [int(timing.latency(d, 0.0, False).playout) for d in (1, 2, 16, 1000)] == [1, 2, 16, 1000]
    assert int(timing.latency(8, 0.0, True).playout) == 0


def test_a_latency_that_varies():
    latency = timing.latency(8, 0.5, False)
    drawn = jax.vmap(lambda key: timing.draw(latency, key))(jax.random.split(jax.random.key(0), 4000))
    assert (int(drawn.min()), int(drawn.max())) == (5, 12)  # ⌈4 to 12⌉
    assert float(drawn.mean()) == pytest.approx(8.5, abs=0.15)
    assert int(latency.playout) == 12
    assert timing.window_for(8, 0.5) == 12


def test_a_latency_with_a_tail():
    latency = timing.latency(8, cv=0.5)
    drawn = np.asarray(jax.vmap(lambda key: timing.draw(latency, key))(jax.random.split(jax.random.key(0), 40_000)))
    assert drawn.mean() == pytest.approx(8.5, abs=0.1)  # rounded up
    assert drawn.std() / 8 == pytest.approx(0.5, abs=0.02)
    assert np.mean(drawn > int(latency.playout)) == pytest.approx(0.005, abs=0.003)
    assert drawn.max() <= timing.window_for(8, 0.0, 0.5) == int(latency.longest)


@partial(jax.jit, static_argnames=("window", "until_due"))
def freshest(took, workers, playout, window, until_due=False):
    """Of a head that acts at every boundary: its observations, and whether an inference began."""

    def one_tick(carry, tick):
        state, inferences = carry
        obs_tick = timing.newest(state, tick, jnp.int32(3))
        hand_out = partial(timing.hand_out, until_due=until_due)
        state, begins = hand_out(state, tick, took[inferences], playout, workers, jnp.bool_(False))
        return (state, inferences + begins), (obs_tick, begins)

    return jax.lax.scan(one_tick, (timing.start(window), jnp.int32(0)), jnp.arange(TICKS))[1]


@pytest.mark.parametrize("workers", [1, 2, 5, 24])
def test_a_head_at_every_boundary_has_the_newest_features_there_are(workers):
    took = np.ceil(VARYING["uniform"]).astype(np.int32)
    obs_tick, begins = map(np.asarray, freshest(jnp.asarray(took), workers, 0, 20))
    begun, free, expected = [], [0] * workers, []
    for tick in range(TICKS):
        expected.append(max((m for m, ready in begun[-60:] if ready <= tick and m >= 3), default=timing.NEVER))
        if min(free) <= tick:
            free[free.index(min(free))] = ready = tick + took[len(begun)]
            begun.append((tick, ready))
    assert obs_tick.tolist() == expected
    assert np.flatnonzero(begins).tolist() == [m for m, _ in begun]
    assert (obs_tick[20:] != timing.NEVER).all(), "no tick is left to β"


def test_a_worker_that_waits_until_its_decision_is_due_is_not_free_before():
    took = jnp.full(TICKS, 2)
    for until_due, apart in ((False, 2), (True, 6)):
        _, begins = freshest(took, 1, 6, 12, until_due)
        assert set(np.diff(np.flatnonzero(begins))) == {apart}
