"""Soft actor-critic against its formulas written out in float64 without our library, and on a problem whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rtrl_jax.actions import Vector
from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn, joint, sac, soft

ACTIONS = Vector((-2.0, 0.0), (2.0, 1.0))
MIDDLE, HALF = np.array([0.0, 0.5]), np.array([2.0, 0.5])


def density(action, mean, std):
    """Of tanh(u), u normal, at action, by the rule for a change of variables."""
    u = np.arctanh(action)
    return np.exp(-0.5 * ((u - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi)) / (1 - action**2)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1.5, 0.3), (-0.7, 2.0)])
def test_the_density_of_an_action(mean, std):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(200, 1)) / 2
    drawn = jax.vmap(lambda n: soft.tanh_gaussian(jnp.array([mean]), jnp.log(jnp.array([std])), n))(normal)
    assert np.allclose(drawn.action[:, 0], np.tanh(mean + std * normal[:, 0]), atol=1e-6)
    near = np.abs(drawn.action[:, 0]) < 0.999  # float32 cannot say more of what lies beyond
    expected = np.log(density(np.tanh(mean + std * normal[:, 0]), mean, std))
    assert np.allclose(drawn.log_pi[near], expected[near], atol=1e-4)
    grid = np.linspace(-1, 1, 200_001)[1:-1]
    assert np.trapezoid(density(grid, mean, std), grid) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize(("given", "held"), [(5.0, 2.0), (-30.0, -20.0)])
def test_the_deviation_is_held_within_limits(given, held):
    found, wanted = (
        soft.tanh_gaussian(jnp.zeros(1), jnp.full(1, log_std), jnp.full(1, 0.1)) for log_std in (given, held)
    )
    assert found == wanted


def test_far_out_the_density_stays_finite():
    def log_pi(mean):
        return soft.tanh_gaussian(mean, jnp.zeros(1), jnp.ones(1)).log_pi

    value, slope = jax.value_and_grad(log_pi)(jnp.array([40.0]))
    assert value == pytest.approx(-0.5 - 0.5 * np.log(2 * np.pi) - 2 * (np.log(2) - 41), rel=1e-5)
    assert slope == pytest.approx(2, rel=1e-5)  # of −log(1 − tanh²) there


def apply(variables, observation, action=None):
    """A linear policy, and quadratic values of features and action."""
    p = variables["params"]
    if action is None:
        return observation @ p["policy"]
    seen = jnp.concatenate([observation, action], axis=1)
    return jnp.stack([seen**2 @ p["critic_0"], seen**2 @ p["critic_1"]])


def problem(seed=0, batch=32):
    rng = np.random.default_rng(seed)
    parameters = {
        "policy": 0.3 * rng.normal(size=(3, 4)),
        "critic_0": rng.normal(size=5),
        "critic_1": rng.normal(size=5),
        "log_temperature": np.array(-0.7),
    }
    actions = MIDDLE + HALF * rng.uniform(-1, 1, (batch, 2))
    columns = rng.normal(size=(batch, 3)), actions, rng.normal(size=batch), 0.9 * rng.integers(0, 2, batch)
    found = agents.Batch(*columns, rng.normal(size=(batch, 3)), rng.uniform(0.5, 1, batch))
    as_float32 = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), (parameters, found))
    return parameters, found, *as_float32


def losses_by_hand(p, frozen, target, batch, normals):
    """The three losses, of parameters `p` where a gradient is to flow and `frozen` where not. float64."""

    def draw(policy, observation, normal):
        mean, log_std = np.split(observation @ policy, 2, axis=1)
        action = np.tanh(mean + np.exp(log_std) * normal)
        return action, np.log(density(action, mean, np.exp(log_std))).sum(1)

    def values(q, observation, action):
        seen = np.concatenate([observation, action], axis=1) ** 2
        return seen @ q["critic_0"], seen @ q["critic_1"]

    alpha = np.exp(frozen["log_temperature"])
    then, log_pi_then = draw(frozen["policy"], batch.next_observation, normals[1])
    y = batch.reward + batch.discount * (
        np.minimum(*values(target, batch.next_observation, then)) - alpha * log_pi_then
    )
    critics = sum((q - y) ** 2 / 2 for q in values(p, batch.observation, (batch.action - MIDDLE) / HALF))
    now, log_pi = draw(p["policy"], batch.observation, normals[0])
    policy = alpha * log_pi - np.minimum(*values(frozen, batch.observation, now))
    _, entropy = draw(frozen["policy"], batch.observation, normals[0])
    temperature = np.exp(p["log_temperature"]) * (-entropy + 2.0)
    return np.mean(batch.weight * (critics + policy + temperature)), y


def test_its_loss_and_gradient_are_the_paper_s():
    p, batch, parameters, as_float32 = problem()
    target = {name: leaf + 0.1 for name, leaf in p.items()}
    keys = jax.random.split(jax.random.key(5))
    normals = [np.asarray(jax.random.normal(key, (32, 2)), np.float64) for key in keys]
    agent = sac.make(apply, ACTIONS)
    in_float32 = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), target)
    (loss, said), gradient = jax.value_and_grad(agent.loss, has_aux=True)(parameters, in_float32, as_float32, 5)
    expected, y = losses_by_hand(p, p, target, batch, normals)
    assert loss == pytest.approx(expected, rel=1e-4)
    assert said.target_q == pytest.approx(y.mean(), rel=1e-4)
    for name, leaf in p.items():  # by differences, with what no gradient flows into held still
        for place in np.ndindex(leaf.shape):
            step = np.zeros_like(leaf)
            step[place] = 1e-6
            up, down = (losses_by_hand(p | {name: leaf + s * step}, p, target, batch, normals)[0] for s in (1, -1))
            assert gradient[name][place] == pytest.approx((up - down) / 2e-6, rel=2e-3, abs=2e-4), (name, place)


def test_what_acts_is_drawn_and_what_is_judged_is_not():
    *_, parameters, _ = problem()
    agent, observation = sac.make(apply, ACTIONS), np.ones(3, np.float32)
    drawn = np.array([agent.explore(parameters, observation, np.uint32(seed)) for seed in range(40)])
    mean = np.tanh((observation @ parameters["policy"])[:2])
    assert np.allclose(agent.act(parameters, observation, 0), MIDDLE + HALF * mean, atol=1e-6)
    assert (np.abs(drawn - MIDDLE) <= HALF).all()
    assert (drawn.std(0) > 0.05).all()
    assert agent.acts is agent.explore


def test_a_number_that_nobody_can_choose_counts_for_nothing():
    _, _, parameters, batch = problem()
    agent = sac.make(apply, Vector((-2.0, 0.5), (2.0, 0.5)))
    losses = []
    for worth in (0.0, 5.0):  # to the critics, of what is in its place
        critics = {name: parameters[name].at[4].set(worth) for name in ("critic_0", "critic_1")}
        losses.append(agent.loss({**parameters, **critics}, {**parameters, **critics}, batch, np.uint32(0))[0])
    assert losses[0] == losses[1]
    told = sac.make(apply, Vector((-2.0, 0.5), (2.0, 0.5)), -1.0).loss(parameters, parameters, batch, np.uint32(0))[0]
    assert told == agent.loss(parameters, parameters, batch, np.uint32(0))[0], (
        "the entropy that is wanted is one number's"
    )
    mean, log_std, normal = jnp.array([0.3, -1.0]), jnp.array([-0.5, 1.0]), jnp.array([0.7, 2.0])
    both, alone = (
        soft.tanh_gaussian(mean, log_std, normal, jnp.array([1.0, 0.0])),
        soft.tanh_gaussian(mean[:1], log_std[:1], normal[:1]),
    )
    assert both.log_pi == alone.log_pi
    assert both.action.tolist() == [*alone.action.tolist(), 0.0]


def test_it_finds_the_best_action_of_one_decision():
    """Reward −(a − x)² for action a in state x; each episode is one decision."""
    rng, size = np.random.default_rng(0), 64

    def network(variables, observation, action=None):
        p = variables["params"]
        x = observation if action is None else jnp.concatenate([observation, action], axis=1)

        def of(name):
            return jnp.tanh(x @ p[name][0] + p[name][1]) @ p[name][2]

        return of("policy") if action is None else jnp.stack([of("critic_0")[:, 0], of("critic_1")[:, 0]])

    def layers(inputs, outputs):
        return [rng.normal(size=s).astype(np.float32) / 2 for s in ((inputs, 32), (32,), (32, outputs))]

    parameters = {"policy": layers(1, 2), "critic_0": layers(2, 1), "critic_1": layers(2, 1)}
    parameters["log_temperature"] = np.float32(-2)
    agent, optimiser = sac.make(network, Vector((-2.0,), (2.0,)), -2.0), optax.adam(3e-3)
    step = jax.jit(agents.update(agent, optimiser, target_every=1, target_rate=0.01), donate_argnums=0)
    state = agents.init(parameters, optimiser)
    for number in range(1500):
        x, a = rng.uniform(-1, 1, (size, 1)), rng.uniform(-2, 2, (size, 1))
        columns = (x, a, -((a - x) ** 2)[:, 0], np.zeros(size), x, np.ones(size))
        state, _, _ = step(state, agents.Batch(*(column.astype(np.float32) for column in columns)), number)
    chosen = [float(agent.act(state.parameters, np.float32([x]), 0)[0]) for x in (-0.8, 0.0, 0.8)]
    assert chosen == pytest.approx([-0.8, 0.0, 0.8], abs=0.15)


def test_the_target_follows_slowly():
    parameters, target = {"w": jnp.array([1.0, 3.0])}, {"w": jnp.array([0.0, 1.0])}
    assert agents.toward(parameters, target, 0.25)["w"].tolist() == [0.25, 1.5]


def test_values_of_every_combination():
    """An agent of values over two choices is the one over their product, numbered as NumPy numbers rows."""
    actions, rng = Vector((0.0, 1.0), (2.0, 2.0), True), np.random.default_rng(0)
    weights = {"w": rng.normal(size=(3, 6)).astype(np.float32)}
    plain = dqn.make(lambda variables, x: x @ variables["params"]["w"])
    both, x = joint.over_combinations(plain, actions), rng.normal(size=(20, 3)).astype(np.float32)
    numbers = np.array([plain.act(weights, row, 0) for row in x])
    pairs = np.stack(np.unravel_index(numbers, (3, 2)), axis=1) + np.array([0, 1])
    assert np.array([both.act(weights, row, 0) for row in x]).tolist() == pairs.tolist()
    columns = np.ones(20, np.float32), np.zeros(20, np.float32), x, np.ones(20, np.float32)
    alone = plain.loss(weights, weights, agents.Batch(x, numbers, *columns), 0)[0]
    assert both.loss(weights, weights, agents.Batch(x, pairs.astype(np.int32), *columns), 0)[0] == alone
