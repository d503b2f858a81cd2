"""Dueling, noisy and distributional heads on every network, and the first values of noisy layers."""

import itertools

import jax
import numpy as np
import pytest

from rtrl_jax import networks
from rtrl_jax.networks import Heads, parameters
from rtrl_jax.networks.heads import NoisyDense

OBSERVATION = ((84, 84, 1), "uint8")


def made(name, heads, seed=0):
    shape, dtype = ((4,), "float32") if name == "mlp" else OBSERVATION
    network = networks.build(name, 5, 1 / 16, heads)
    tree = parameters.initialise(parameters.shapes(network, shape, dtype), seed)
    return network, tree, np.random.default_rng(0).integers(0, 255, (3, *shape)).astype(dtype)


@pytest.mark.parametrize(
    ("name", "dueling", "noisy", "atoms"),
    list(itertools.product(networks.NAMES, (False, True), (False, True), (1, 51))),
)
def test_shapes_of_every_mix(name, dueling, noisy, atoms):
    heads = Heads(dueling, noisy, atoms)
    shape, dtype = ((4,), "float32") if name == "mlp" else OBSERVATION
    network = networks.build(name, 5, 1 / 16, heads)
    tree = parameters.shapes(network, shape, dtype)
    found = jax.eval_shape(
        lambda p, x, key: network.apply({"params": p}, x, rngs={"noise": key}),
        tree,
        jax.ShapeDtypeStruct((3, *shape), dtype),
        jax.random.key(0),
    )
    assert found.shape == ((3, 5) if atoms == 1 else (3, 5, atoms))
    assert found.dtype == np.float32
    leaves = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(tree)}
    assert ("sigma_kernel" in leaves) == noisy
    assert any("advantage" in layer for layer in tree) == dueling


def test_without_heads_names_are_as_they_were():
    assert set(made("mlp", Heads())[1]) == {"Dense_0", "Dense_1", "Dense_2"}
    assert {"hidden", "values"} < set(made("nature", Heads())[1])


def test_dueling_streams_by_hand():
    network, tree, x = made("mlp", Heads(dueling=True))

    def dense(name, y):
        return y @ tree[name]["kernel"] + tree[name]["bias"]

    features = np.maximum(dense("Dense_0", x), 0)
    state, advantage = (
        dense(f"{stream}_Dense_2", np.maximum(dense(f"{stream}_Dense_1", features), 0))
        for stream in ("state", "advantage")
    )
    expected = state + advantage - advantage.mean(1, keepdims=True)
    np.testing.assert_allclose(network.apply({"params": tree}, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("noisy", [False, True])
def test_the_shared_layer_comes_before_the_streams_and_has_no_noise(noisy):
    network, tree, x = made("mlp", Heads(dueling=True, noisy=noisy, shared=True))
    assert set(tree["shared"]) == {"kernel", "bias"}
    inner, below = networks.build("mlp", 5, 1 / 16, Heads(dueling=True, noisy=noisy)), dict(tree)
    shared = below.pop("shared")
    key = {"rngs": {"noise": jax.random.key(0)}}
    features = np.maximum(x @ tree["Dense_0"]["kernel"] + tree["Dense_0"]["bias"], 0)
    # A network of the streams alone, whose first layer gives what the shared layer gives.
    size = len(shared["bias"])
    below["Dense_0"] = {"kernel": np.eye(size, dtype=np.float32), "bias": np.zeros(size, np.float32)}
    given = np.maximum(features @ shared["kernel"] + shared["bias"], 0)
    got, wanted = network.apply({"params": tree}, x, **key), inner.apply({"params": below}, given, **key)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_layer_normalisation_by_hand():
    network, tree, x = made("mlp", Heads(normalisation="layer"))
    rng = np.random.default_rng(1)
    for name in ("Dense_0_norm", "features_norm", "Dense_1_norm"):
        assert (tree[name]["scale"] == 1).all()
        assert not tree[name]["bias"].any()
        tree[name] = {part: rng.normal(size=leaf.shape).astype(np.float32) for part, leaf in tree[name].items()}

    def dense(name, y):
        return y @ tree[name]["kernel"] + tree[name]["bias"]

    def norm(name, y):
        centred = y - y.mean(1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-6) * tree[name]["scale"] + tree[name]["bias"]

    features = norm("features_norm", np.maximum(norm("Dense_0_norm", dense("Dense_0", x)), 0))
    expected = dense("Dense_2", np.maximum(norm("Dense_1_norm", dense("Dense_1", features)), 0))
    np.testing.assert_allclose(network.apply({"params": tree}, x), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_head_of_zeros_gives_values_of_zero_but_for_the_noise(dueling, noisy):
    network = networks.build("mlp", 5, 1 / 16, Heads(dueling, noisy))
    tree = parameters.initialise(parameters.shapes(network, (4,), "float32"), 0, zero_head=True)
    tree = jax.tree_util.tree_map_with_path(
        lambda path, leaf: np.zeros_like(leaf) if path[-1].key.startswith("sigma") else leaf, tree
    )
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    assert not np.any(network.apply({"params": tree}, x, rngs={"noise": jax.random.key(0)}))
    hidden = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree) if "Dense_1" in path[-2].key]
    assert any(leaf.any() for leaf in hidden)


def test_noise_depends_on_the_seed_only():
    network, tree, x = made("mlp", Heads(noisy=True))

    def apply(seed):
        return np.asarray(network.apply({"params": tree}, x, rngs={"noise": jax.random.key(seed)}))

    np.testing.assert_array_equal(apply(1), apply(1))
    assert (apply(1) != apply(2)).all()


def test_a_noisy_layer_without_deviations_is_a_dense_one_and_its_noise_is_factorised():
    layer = NoisyDense(4)
    p, q = 3, 4
    rng = np.random.default_rng(0)
    tree = {
        "mu_kernel": rng.normal(size=(p, q)),
        "mu_bias": rng.normal(size=q),
        "sigma_kernel": np.zeros((p, q)),
        "sigma_bias": np.zeros(q),
    }
    x = rng.normal(size=(5, p))

    def apply(tree, x):
        return np.asarray(layer.apply({"params": tree}, x, rngs={"noise": jax.random.key(0)}))

    np.testing.assert_allclose(apply(tree, x), x @ tree["mu_kernel"] + tree["mu_bias"], rtol=1e-5)
    noise = {name: np.zeros_like(value) for name, value in tree.items()}
    matrix = apply(noise | {"sigma_kernel": np.ones((p, q))}, np.eye(p))
    bias = apply(noise | {"sigma_bias": np.ones(q)}, np.zeros((1, p)))[0]
    assert np.linalg.matrix_rank(matrix, tol=1e-5) == 1
    np.testing.assert_allclose(matrix / bias, np.repeat(matrix[:, :1] / bias[0], q, axis=1), rtol=1e-4)
    everywhere = apply(noise | {"sigma_kernel": np.ones((p, q))}, np.ones((6, p)))
    assert (everywhere == everywhere[0]).all(), "one draw for the whole batch"


def test_the_noise_has_the_moments_of_its_definition():
    wide = NoisyDense(20_000)
    tree = {"mu_kernel": np.zeros((1, 20_000)), "mu_bias": np.zeros(20_000)}
    tree |= {"sigma_kernel": np.zeros((1, 20_000)), "sigma_bias": np.ones(20_000)}
    noise = np.asarray(wide.apply({"params": tree}, np.zeros((1, 1)), rngs={"noise": jax.random.key(0)}))
    # f(x) = sgn(x)√|x| has mean 0 and variance E|x| = √(2/π).
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.var() == pytest.approx(np.sqrt(2 / np.pi), rel=0.03)


def test_first_values_of_noisy_layers_are_the_paper_s_and_the_module_s():
    network, tree, x = made("mlp", Heads(noisy=True))
    theirs = network.init({"params": jax.random.key(0), "noise": jax.random.key(0)}, x)["params"]
    for layers in (tree, jax.tree.map(np.asarray, theirs)):
        inputs = layers["Dense_1"]["mu_kernel"].shape[0]
        bound = 1 / np.sqrt(inputs)
        for name in ("sigma_kernel", "sigma_bias"):
            np.testing.assert_allclose(layers["Dense_1"][name], 0.5 * bound, rtol=1e-6)
        for name in ("mu_kernel", "mu_bias"):
            assert np.abs(layers["Dense_1"][name]).max() <= bound
            assert np.abs(layers["Dense_1"][name]).max() > 0.5 * bound
        assert not layers["Dense_0"]["bias"].any()
