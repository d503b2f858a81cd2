"""Rainbow with each of its parts on and off; and all of it, with its replay, learns to balance a pole."""

import itertools

import gymnasium
import jax
import numpy as np
import pytest
from acts import Played

from rtrl_jax import networks
from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn, rainbow
from rtrl_jax.agents.exploration import linear
from rtrl_jax.networks import Heads, parameters
from rtrl_jax.replay.prioritised import PrioritisedReplay
from rtrl_jax.replay.sum_tree import nodes_for
from rtrl_jax.replay.transitions import Horizon

SUPPORT = (0.0, 200.0, 51)


def problem(heads, seed=0, batch=8):
    network = networks.build("mlp", 3, 0.25, heads)
    shapes = parameters.shapes(network, (5,), "float32")
    online, target = (parameters.initialise(shapes, seed) for seed in (seed, seed + 1))
    rng = np.random.default_rng(seed)
    return (
        network,
        online,
        target,
        agents.Batch(
            rng.normal(size=(batch, 5)).astype(np.float32),
            rng.integers(0, 3, batch).astype(np.int32),
            rng.normal(size=batch).astype(np.float32),
            (0.97 * rng.integers(0, 2, batch)).astype(np.float32),
            rng.normal(size=(batch, 5)).astype(np.float32),
            rng.random(batch).astype(np.float32),
        ),
    )


@pytest.mark.parametrize(
    ("dueling", "noisy", "support", "double_q"),
    list(itertools.product((False, True), (False, True), (None, SUPPORT), (False, True))),
)
def test_every_part_by_itself_and_with_every_other(dueling, noisy, support, double_q):
    heads = Heads(dueling, noisy, support[2] if support else 1)
    network, online, target, batch = problem(heads)
    agent = rainbow.make(network.apply, double_q=double_q, noisy=noisy, support=support)
    loss, (errors, *_) = agent.loss(online, target, batch, np.uint32(7))
    assert np.isfinite(loss)
    assert errors.shape == (8,)
    assert (errors >= 0).all()
    slope = jax.grad(lambda p: agent.loss(p, target, batch, np.uint32(7))[0])(online)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(slope))
    action = agent.act(online, batch.observation[0], np.uint32(7))
    assert action.shape == ()
    assert action in range(3)
    same, _ = agent.loss(online, target, batch, np.uint32(7))
    other, _ = agent.loss(online, target, batch, np.uint32(8))
    assert float(same) == float(loss)
    assert (float(other) != float(loss)) == noisy


def test_with_every_part_off_it_is_dqn():
    network, online, target, batch = problem(Heads())
    agent = rainbow.make(network.apply, double_q=False, noisy=False, support=None)
    both = (one.loss(online, target, batch, 0) for one in (agent, dqn.make(network.apply)))
    for ours, theirs in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("support", [None, SUPPORT])
def test_the_loss_of_one_step_is_added_to_that_of_n(support):
    """Each is what it would be alone, and priorities are those of both."""
    network, online, target, several = problem(Heads(atoms=support[2] if support else 1))
    _, _, _, one = problem(Heads(), seed=1)
    one = several._replace(reward=one.reward, discount=one.discount, next_observation=one.next_observation)
    usual, both = (
        rainbow.make(network.apply, double_q=True, noisy=False, support=support, one_step=one_step)
        for one_step in (False, True)
    )
    apart = [usual.loss(online, target, batch, 0) for batch in (several, one)]
    ahead = agents.OneStep(one.reward, one.discount, one.next_observation)
    loss, said = both.loss(online, target, several._replace(one_step=ahead), 0)
    assert float(loss) == pytest.approx(float(apart[0][0] + apart[1][0]), rel=1e-5)
    np.testing.assert_allclose(said.errors, apart[0][1].errors + apart[1][1].errors, rtol=1e-5)
    np.testing.assert_allclose(said[1:], apart[0][1][1:], rtol=1e-5)


@pytest.mark.parametrize("support", [None, SUPPORT])
def test_importance_weights_multiply_each_transition_s_loss(support):
    network, online, target, batch = problem(Heads(atoms=support[2] if support else 1))
    agent = rainbow.make(network.apply, double_q=True, noisy=False, support=support)
    each = [
        float(agent.loss(online, target, jax.tree.map(lambda column, i=i: column[i : i + 1], batch), 0)[0])
        for i in range(8)
    ]
    loss, (errors, *_) = agent.loss(online, target, batch, 0)
    assert float(loss) == pytest.approx(np.mean(each), rel=1e-5)
    doubled, (same, *_) = agent.loss(online, target, batch._replace(weight=2 * batch.weight), 0)
    assert float(doubled) == pytest.approx(2 * float(loss), rel=1e-5)
    np.testing.assert_array_equal(errors, same)
    if support:
        assert float(loss) == pytest.approx(float((batch.weight * errors).mean()), rel=1e-5)


def test_the_online_network_chooses_with_double_q_and_the_target_network_without():
    def apply(variables, observation):
        return observation * variables["params"]

    batch = agents.Batch(
        np.zeros((1, 2), np.float32),
        np.zeros(1, np.int32),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
        np.array([[1.0, 3.0]], np.float32),
        np.ones(1, np.float32),
    )
    for double_q, expected in ((True, 10.0), (False, 30.0)):
        agent = rainbow.make(apply, double_q=double_q, noisy=False, support=None)
        assert float(agent.loss(np.float32(-1), np.float32(10), batch, 0)[1].errors[0]) == expected


@pytest.mark.parametrize("support", [None, SUPPORT])
def test_an_action_gap_takes_off_what_the_action_is_below_the_best(support):
    """By the target network: from the target where there is a mean; where there is a distribution it is moved by as much."""
    network, online, target, batch = problem(Heads(atoms=support[2] if support else 1))
    parts = {"double_q": True, "noisy": False, "support": support}
    values = network.apply({"params": target}, batch.observation)
    q = values if support is None else jax.nn.softmax(values) @ np.linspace(*support)
    lost = np.asarray(q.max(1) - q[np.arange(8), batch.action])
    assert lost.min() == 0 < lost.max()
    wide = rainbow.make(network.apply, **parts, action_gap=0.8).loss(online, target, batch, 0)
    by_hand = batch._replace(reward=batch.reward - np.float32(0.8) * lost)
    plain = rainbow.make(network.apply, **parts).loss(online, target, by_hand, 0)
    for ours, theirs in zip(*map(jax.tree.leaves, (wide, plain)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.75])
def test_at_its_fixed_point_the_best_action_keeps_its_value_and_others_are_further_below(alpha):
    """One state, two actions that earn 1 and 0.9 and come back to it: gaps are 1 / (1 - α) times as large."""
    earned, discount = np.array([1.0, 0.9], np.float32), np.float32(0.5)

    def apply(variables, observation):
        return jax.numpy.broadcast_to(variables["params"], (len(observation), 2))

    agent = rainbow.make(apply, double_q=False, noisy=False, support=None, action_gap=alpha)
    batch = agents.Batch(
        np.zeros((2, 1), np.float32),
        np.arange(2),
        earned,
        np.full(2, discount),
        np.zeros((2, 1), np.float32),
        np.ones(2),
    )
    slope, q = jax.jit(jax.grad(lambda q, target: agent.loss(q, target, batch, 0)[0])), np.zeros(2, np.float32)
    for _ in range(400):
        q = q - slope(q, q)
    np.testing.assert_allclose(q, [2.0, 2.0 - 0.1 / (1 - alpha)], atol=1e-3)


def test_the_three_passes_have_noise_of_their_own():
    seen = []

    def apply(variables, observation, rngs):
        jax.debug.callback(lambda key: seen.append(tuple(key.tolist())), jax.random.key_data(rngs["noise"]))
        return observation * variables["params"]

    batch = agents.Batch(
        *(np.zeros(s, d) for s, d in (((1, 2), "f4"), (1, "i4"), (1, "f4"), (1, "f4"), ((1, 2), "f4"), (1, "f4")))
    )
    rainbow.make(apply, double_q=True, noisy=True, support=None).loss(np.float32(1), np.float32(1), batch, np.uint32(3))
    jax.effects_barrier()
    assert len(set(seen)) == 3


STEPS, EVERY, CAPACITY = 4500, 2, 4096  # the ring wraps


def test_all_of_rainbow_learns_to_balance_a_pole():
    """A plain, paused loop: every observation is answered before the next tick, so the delay is one."""
    network = networks.build("mlp", 2, 0.5, Heads(dueling=True, noisy=True, atoms=51))
    first = parameters.initialise(parameters.shapes(network, (4,), "float32"), seed=0)
    agent = rainbow.make(network.apply, double_q=True, noisy=True, support=SUPPORT)
    optimiser = agents.make_optimiser(1e-3, 10)
    act, update = jax.jit(agent.act), jax.jit(agents.update(agent, optimiser, target_every=200), donate_argnums=0)
    state, rng = agents.init(first, optimiser), np.random.default_rng(0)

    played = Played(CAPACITY, (4,))
    shared = np.zeros(nodes_for(played.acts.row_count)), np.zeros(1), np.zeros(1, np.int64)
    replay = PrioritisedReplay(played.acts, Horizon(0.99, n=3), *shared)

    environment, returns, epsilon = gymnasium.make("CartPole-v1"), [], linear(1.0, 0.0, 500)
    terminated = truncated = start = 0
    for tick in range(STEPS):
        if tick == 0 or terminated or truncated:
            observation, _ = environment.reset(seed=tick)
            played.publish(tick, -1, tick, frame=observation)
            terminated, truncated, start = False, False, tick
            returns.append(0)
        else:
            explores = rng.random() < epsilon(int(state.updates))
            action = rng.integers(2) if explores else int(act(state.parameters, observation, np.uint32(tick)))
            observation, reward, terminated, truncated, _ = environment.step(action)
            what = {"reward": reward, "action": action, "terminated": terminated, "truncated": truncated}
            played.publish(tick, tick - 1, start, frame=observation, **what)
            returns[-1] += 1
        replay.ingest()
        if tick >= 500 and tick % EVERY == 0:
            replay.settle(np.empty(0, np.int64), np.empty(0))
            batch, keys = replay.sample_with_keys(rng, 32)
            state, _, said = update(state, batch, np.uint32(tick))
            replay.settle(keys, np.asarray(said.errors))
    last = returns[-21:-1]  # the one under way left out
    assert np.mean(last) > 60, returns  # a random player reaches 22
