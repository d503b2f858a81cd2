"""Networks in two halves: trunk and head together are the whole, fast or plain, and without what is told nothing changes."""

import jax
import numpy as np
import pytest

from rtrl_jax import networks
from rtrl_jax.networks import Heads, fast, parameters
from rtrl_jax.networks.encoder import Encoder
from rtrl_jax.pending import DTYPE, ENCODINGS, UNTOLD, Pending, Seen

SHAPES = {"mlp": ((4,), "float32"), "nature": ((84, 84, 2), "uint8"), "resnet15": ((84, 84, 1), "uint8")}
RAINBOW = Heads(dueling=True, noisy=True, atoms=5, shared=True, normalisation="layer")


def made(name, heads=Heads(), length=3, encoding="onehot", width=1 / 16, reflex=False):  # noqa: B008
    heads = heads._replace(pending=Pending("late", length, encoding, 6, reflex))
    network, (shape, dtype) = networks.build(name, 5, width, heads), SHAPES[name]
    tree = parameters.initialise(parameters.shapes(network, shape, dtype), 0)
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (2, *shape)).astype(dtype)
    told = rng.integers(-1, 6, (2, length)).astype(DTYPE)
    newest = rng.integers(0, 256, (2, *shape)).astype(dtype) if reflex else None
    return network, tree, Seen(frames, told, newest)


@pytest.mark.parametrize("reflex", [False, True], ids=["", "reflex"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("heads", [Heads(), RAINBOW], ids=["dqn", "rainbow"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_trunk_and_then_the_head_are_the_whole_network(name, heads, encoding, reflex):
    network, tree, seen = made(name, heads, encoding=encoding, reflex=reflex)
    noise = {"rngs": {"noise": jax.random.key(3)}}
    whole = network.apply({"params": tree}, seen, **noise)
    features = network.apply({"params": tree}, seen.observation)
    head = networks.head_of(network)
    of_features = seen._replace(observation=features)
    names = jax.eval_shape(lambda: head.init({"params": jax.random.key(0), **noise["rngs"]}, of_features))
    below = {name: tree[name] for name in names["params"]}
    by_head = head.apply({"params": below}, of_features, **noise)
    assert features.shape == (2, {"mlp": 8}.get(name, 512))
    assert by_head.shape == whole.shape == ((2, 5, 5) if heads.atoms > 1 else (2, 5))
    if not heads.noisy:  # the noise of a module depends on where it is
        assert np.allclose(by_head, whole, atol=1e-6)
    other = seen._replace(told=np.where(seen.told == 0, 1, 0).astype(DTYPE))
    assert not np.allclose(network.apply({"params": tree}, other, **noise), whole)
    if reflex:
        blind = seen._replace(newest=np.zeros_like(seen.newest))
        assert not np.allclose(network.apply({"params": tree}, blind, **noise), whole)


@pytest.mark.parametrize("kind", ["acting", "learning"])
def test_the_fast_network_is_the_same_function(kind):
    network, tree, seen = made("resnet15", width=0.25, reflex=True)
    plan = fast.by_rule(network, (84, 84, 1))
    apply = getattr(fast, kind)(network, plan)
    values = tree
    if kind == "acting":
        values = fast.with_prepared(tree, fast.prepare(fast.kernels(tree, plan), plan), plan)
    for observation in (seen, seen.observation):
        assert np.allclose(
            apply({"params": values}, observation), network.apply({"params": tree}, observation), atol=2e-4
        )


def test_encodings():
    actions = np.array([[UNTOLD, 2, 0], [UNTOLD] * 3])

    def encoded(encoding):
        return Encoder(3, encoding).init_with_output(jax.random.key(0), actions)[0]

    assert encoded("onehot").tolist() == [[0, 0, 0, 0, 0, 1, 1, 0, 0], [0] * 9]
    assert np.allclose(encoded("counts"), [[1 / 3, 0, 1 / 3], [0, 0, 0]])
    assert np.abs(encoded("recurrent")[0]).max() > 0 == np.abs(encoded("recurrent")[1]).max()


def test_nothing_to_tell_takes_no_parameters():
    network, tree, seen = made("mlp", length=0)
    assert set(tree) == {"Dense_0", "trunk", "Dense_1", "Dense_2"}
    assert network.apply({"params": tree}, seen).shape == (2, 5)


def test_the_head_is_small_at_every_width():
    """At k = 29 too it has no more than a few layers of 512."""
    for width in (1, 29):
        network = networks.build("resnet15", 6, width, Heads(pending=Pending("late", 70, "onehot", 7, reflex=True)))
        tree = parameters.shapes(network, *SHAPES["resnet15"])
        head = {name: layer for name, layer in tree.items() if not name.startswith("Conv_") and name != "trunk"}
        assert parameters.count(head) < 800_000
