"""Running statistics of what is seen: their arithmetic, that no gradient moves them, that all networks of a run have the same."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rtrl_jax import networks
from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn
from rtrl_jax.networks import Heads, Inputs, fast, parameters, statistics
from rtrl_jax.networks.inputs import FARTHEST, STATISTICS, standardised
from rtrl_jax.pending import DTYPE, Pending, Seen

MEASURED = Inputs(measured=(True, True, False))
FAR = np.array([1e3, -5.0, 1.0]), np.array([30.0, 0.01, 1.0])  # mean and deviation of what is seen


def seen(rng, count=16):
    return (FAR[0] + FAR[1] * rng.standard_normal((count, 3))).astype(np.float32)


def batch_of(observation, rng):
    rows = len(observation)
    ones = np.ones(rows, np.float32)
    return agents.Batch(observation, rng.integers(4, size=rows).astype(np.int32), ones, ones, observation, ones)


def program(inputs=MEASURED):
    network = networks.build("mlp", 4, 1 / 8, inputs=inputs)
    tree = parameters.initialise(parameters.shapes(network, (3,), "float32"), 0)
    optimiser = optax.adam(1e-3)
    made = agents.gradients(dqn.make(network.apply)), agents.apply_gradients(optimiser)
    return network, tree, optimiser, statistics.gradients(made[0], inputs), statistics.apply_gradients(made[1], inputs)


def test_samples_one_after_another_come_to_the_moments_of_all():
    rng = np.random.default_rng(0)
    samples = [seen(rng, count) for count in (1, 16, 5, 64)]
    found = {"mean": jnp.zeros(3), "variance": jnp.zeros(3), "count": jnp.zeros(1)}
    for sample in samples:
        found = statistics.merged(found, statistics.moments(sample, MEASURED))
    every = np.concatenate(samples).astype(np.float64)
    assert float(found["count"][0]) == len(every)
    np.testing.assert_allclose(found["mean"], every.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found["variance"], every.var(0), rtol=2e-2)  # 0.01 beside 5 has few digits in float32


def test_what_is_old_counts_less_and_less():
    many = {"mean": jnp.zeros(1), "variance": jnp.ones(1), "count": jnp.full(1, statistics.MOST)}
    once = statistics.merged(many, {"mean": jnp.ones(1), "variance": jnp.ones(1), "count": jnp.full(1, 16.0)})
    assert float(once["count"][0]) == statistics.MOST
    assert float(once["mean"][0]) == pytest.approx(16 / statistics.MOST, rel=1e-3)


def test_deviations_and_where_there_are_none():
    own = {"mean": np.float32([1, 1, 1]), "variance": np.float32([4, 0, 4]), "count": np.float32([9])}
    x = np.float32([[5, 1, 5], [1e6, 2, 5]])
    assert standardised(x, own, MEASURED).tolist() == [[2, 0, 5], [FARTHEST, FARTHEST, 5]]
    assert standardised(x, own | {"count": np.float32([0])}, MEASURED).tolist() == x.tolist()


def test_an_update_counts_its_batch_once_and_no_gradient_moves_them():
    network, tree, optimiser, gradients, apply = program()
    rng, state, target = np.random.default_rng(0), None, tree
    state, online, every = optimiser.init(tree), tree, []
    for _ in range(5):
        every.append(seen(rng))
        grads, _, _ = gradients(online, target, batch_of(every[-1], rng), np.uint32(0))
        online, state, norm = apply(online, state, grads)
        assert float(norm) < 100, "moments are no gradients"
    own = online[STATISTICS]
    np.testing.assert_allclose(own["mean"], np.concatenate(every).mean(0), rtol=1e-5)
    assert float(own["count"][0]) == 80
    assert not any(leaf.any() for leaf in jax.tree.leaves(state[0].mu[STATISTICS]))
    values = network.apply({"params": online}, seen(rng))
    assert np.abs(values).max() < 20, "the network sees thousands"


def test_a_late_gradient_is_counted_when_it_is_applied():
    _, tree, optimiser, gradients, apply = program()
    rng, state = np.random.default_rng(0), optimiser.init(tree)
    observations = [seen(rng), seen(rng)]
    both = [gradients(tree, tree, batch_of(observation, rng), np.uint32(0))[0] for observation in observations]
    for grads in both:
        tree, state, _ = apply(tree, state, grads)
    np.testing.assert_allclose(tree[STATISTICS]["mean"], np.concatenate(observations).mean(0), rtol=1e-5)


def test_the_target_network_sees_as_the_online_one_does():
    network, tree, _, gradients, _ = program()
    rng = np.random.default_rng(0)
    batch = batch_of(seen(rng), rng)
    _, _, said = gradients(tree, tree, batch, np.uint32(0))
    moved = statistics.changed(
        tree, lambda before: statistics.merged(before, statistics.moments(batch.observation, MEASURED))
    )
    after = np.asarray(network.apply({"params": moved}, batch.observation))
    assert float(said.target_q) == pytest.approx(float((1 + after.max(1)).mean()), rel=1e-4)


def test_without_them_nothing_is_changed():
    made = object(), object()
    for wrap, plain in zip((statistics.gradients, statistics.apply_gradients), made, strict=True):
        assert wrap(plain, Inputs()) is plain
    assert STATISTICS not in program(Inputs())[1]


@pytest.mark.parametrize("width", [1 / 16, 0.5])  # planes, and channels last
def test_the_fast_network_has_them_too(width):
    inputs = Inputs(divisor=(255.0,), measured=(True,))
    network, shape = networks.build("resnet15", 6, width, inputs=inputs), (36, 36, 2)
    tree = parameters.initialise(parameters.shapes(network, shape, "uint8"), 0)
    images = np.random.default_rng(0).integers(256, size=(3, *shape), dtype=np.uint8)
    before = network.apply({"params": tree}, images)
    tree = statistics.changed(tree, lambda own: statistics.merged(own, statistics.moments(images, inputs)))
    wanted = np.asarray(network.apply({"params": tree}, images))
    assert not np.allclose(wanted, before, rtol=0.1)
    plan = fast.by_rule(network, shape)
    prepared = fast.prepare(fast.kernels(tree, plan), plan)
    np.testing.assert_allclose(fast.learning(network, plan)({"params": tree}, images), wanted, rtol=1e-3, atol=1e-4)
    acted = fast.acting(network, plan)({"params": fast.with_prepared(tree, prepared, plan)}, images)
    np.testing.assert_allclose(acted, wanted, rtol=1e-3, atol=1e-4)


def test_with_a_late_head_they_belong_to_the_trunk():
    heads = Heads(pending=Pending("late", 3, "onehot", 4))
    network = networks.build("mlp", 4, 1 / 8, heads, MEASURED)
    tree = parameters.initialise(parameters.shapes(network, (3,), "float32"), 0)
    told = Seen(seen(np.random.default_rng(0)), np.zeros((16, 3), DTYPE))
    assert float(statistics.moments(told, MEASURED)["count"][0]) == 16
    tree = statistics.changed(tree, lambda own: statistics.merged(own, statistics.moments(told, MEASURED)))
    features = network.apply({"params": tree}, told.observation)
    head = networks.head_of(network)
    by_head = head.apply(
        {"params": {name: tree[name] for name in tree if name != STATISTICS}}, Seen(features, told.told)
    )
    np.testing.assert_allclose(by_head, network.apply({"params": tree}, told), atol=1e-5)
