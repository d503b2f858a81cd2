"""The network of soft actor-critic: its halves make it up, all of it heeds what is told, and critics alone teach its sight."""

import jax
import numpy as np
import pytest

from rtrl_jax import networks
from rtrl_jax.actions import Vector
from rtrl_jax.networks import Heads, parameters
from rtrl_jax.networks.encoder import masked
from rtrl_jax.pending import ENCODINGS, Pending, Seen

SPACE = Vector((-2.0, 0.0), (2.0, 1.0))
SHAPES = {"mlp": ((4,), "float32"), "nature": ((84, 84, 1), "uint8")}


def made(name, encoding="onehot", reflex=False):
    pending = Pending("late", 3, encoding, SPACE, reflex)
    network = networks.actor_critic(name, SPACE.size, 1 / 16, Heads(pending=pending))
    shape, dtype = SHAPES[name]
    tree = parameters.initialise(parameters.shapes(network, shape, dtype), 0)
    rng = np.random.default_rng(1)
    told = pending.nothing(2)
    told[0, 1:] = rng.uniform(SPACE.low, SPACE.high, (2, 2))
    frames = rng.integers(0, 256, (2, 2, *shape)).astype(dtype)
    return network, tree, Seen(frames[0], told, frames[1] if reflex else None)


@pytest.mark.parametrize(
    ("name", "encoding", "reflex"),
    [
        *(("mlp", encoding, False) for encoding in ENCODINGS),
        *(("nature", "onehot", reflex) for reflex in (False, True)),
    ],
)
def test_the_trunk_and_then_the_head_are_the_policy(name, encoding, reflex):
    network, tree, seen = made(name, encoding, reflex)
    whole = network.apply({"params": tree}, seen)
    features, head = network.apply({"params": tree}, seen.observation), networks.head_of(network)
    names = jax.eval_shape(lambda: head.init(jax.random.key(0), seen._replace(observation=features)))["params"]
    below = {name: tree[name] for name in names}
    assert np.allclose(head.apply({"params": below}, seen._replace(observation=features)), whole, atol=1e-6)
    assert whole.shape == (2, 4)
    assert np.isfinite(whole).all()
    other, action = seen._replace(told=seen.told / 2), np.zeros((2, 2), np.float32)
    values, its = (network.apply({"params": tree}, what, action) for what in (seen, other))
    assert values.shape == (2, 2)  # twins, batch
    assert not np.allclose(values[:, 0], its[:, 0])
    assert np.allclose(values[:, 1], its[:, 1])  # to which nothing is told
    if reflex:
        blind = seen._replace(newest=np.zeros_like(seen.newest))
        assert not np.allclose(values, network.apply({"params": tree}, blind, action))
        assert not np.allclose(whole, network.apply({"params": tree}, blind))
    assert not np.allclose(network.apply({"params": tree}, other)[0], whole[0])


def test_only_critics_teach_its_sight():
    network, tree, seen = made("nature")
    of_policy = jax.grad(lambda tree: network.apply({"params": tree}, seen).sum())(tree)
    action = np.ones((2, 2), np.float32)
    of_critics = jax.grad(lambda tree: network.apply({"params": tree}, seen, action).sum())(tree)
    assert not any(leaf.any() for leaf in jax.tree.leaves(of_policy["sight"]))
    assert all(leaf.any() for leaf in jax.tree.leaves(of_critics["sight"]))
    assert of_policy["policy"]["kernel"].any()


def test_what_is_told_lies_within_one_of_0_and_none_is_0():
    told = np.array([[[np.nan, np.nan], [-2, 1], [1, 0.5]]], np.float32)
    assert masked(told, SPACE).tolist() == [[0, 0, 0, -1, 1, 1, 0.5, 0, 1]]


def test_first_values():
    _, tree, _ = made("mlp")
    assert tree["log_temperature"] == 0
    zero = parameters.initialise(tree, 0, zero_head=True)
    assert not zero["values"]["kernel"].any()
    assert not zero["critic_0"]["values"]["kernel"].any()
    assert zero["critic_0"]["hidden_0"]["kernel"].std() != zero["critic_1"]["hidden_0"]["kernel"].std()
