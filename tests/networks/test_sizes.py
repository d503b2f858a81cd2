"""The networks have the sizes, shapes and pooling that the paper's have."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtrl_jax import networks
from rtrl_jax.agents.variant import variant_of
from rtrl_jax.networks import fast, parameters
from rtrl_jax.networks.resnet import max_pool
from rtrl_jax.settings import Settings

OBSERVATION = ((84, 84, 1), "uint8")


@pytest.mark.parametrize(
    ("name", "width", "nominal", "exact"),
    [
        ("resnet15", 1 / 16, 55e3, 54_178),
        ("resnet15", 1, 1e6, 903_718),
        ("resnet15", 7, 10e6, 10_368_742),
        ("resnet15", 29, 100e6, 104_682_918),
        ("resnet15", 98, 1e9, 1_008_092_742),
        ("resnet30", 0.0625, 70e3, 70_108),
        ("resnet30", 0.75, 1e6, 922_982),
        ("resnet30", 4.75, 10e6, 10_291_558),
        ("resnet30", 18.5, 100e6, 99_852_678),
        ("resnet30", 63, 1e9, 998_875_142),
    ],
)
def test_parameter_counts(name, width, nominal, exact):
    found = parameters.count(parameters.shapes(networks.build(name, 6, width), *OBSERVATION))
    assert found == exact
    # The paper's "1M" is 0.90 M at k = 1 and 0.92 M at k = 0.75; its other names are within 6 %.
    assert found == pytest.approx(nominal, rel=0.10 if nominal == 1e6 else 0.06)
    assert parameters.width_for(nominal, name, 6, *OBSERVATION) == width


def test_rainbow_has_a_dense_layer_of_512_before_noisy_streams_of_512():
    """As in the paper's code (its k = 1), with 51 atoms for each of 6 actions; each noisy weight is two numbers."""
    heads = variant_of(Settings(agent="rainbow")).heads()
    tree = parameters.shapes(networks.build("resnet15", 6, 1, heads), *OBSERVATION)
    assert tree["shared"]["kernel"].shape == (7 * 7 * 32, 512)
    for stream, outputs in (("state", 51), ("advantage", 6 * 51)):
        assert tree[f"{stream}_hidden"]["mu_kernel"].shape == (512, 512)
        assert tree[f"{stream}_values"]["mu_kernel"].shape == (512, outputs)
    dense = 903_718 - (512 * 6 + 6)  # of the DQN's network, without its last layer
    streams = [513 * 512 + 513 * outputs for outputs in (51, 6 * 51)]
    assert parameters.count(tree) == dense + 2 * sum(streams) == 2_317_546
    without = variant_of(Settings(agent="rainbow", shared_layer=False)).heads()
    tree = parameters.shapes(networks.build("resnet15", 6, 1, without), *OBSERVATION)
    assert tree["state_hidden"]["mu_kernel"].shape == (7 * 7 * 32, 512), (
        "Hessel et al.: streams right after the convolutions"
    )


@pytest.mark.parametrize(("blocks", "name", "features"), [(3, "resnet15", 7 * 7), (6, "resnet30", 8 * 8)])
def test_the_last_feature_map_and_the_number_of_convolutions(blocks, name, features):
    tree = parameters.shapes(networks.build(name, 6, 1), *OBSERVATION)
    assert tree["hidden"]["kernel"].shape == (features * 32, 512)
    assert sum(layer.startswith("Conv") for layer in tree) == 5 * blocks


@pytest.mark.parametrize("stride", [1, 2])
def test_pooling_is_flax_s_max_pool_in_value_and_gradient(stride):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 13, 12, 3)).astype(np.float32))
    ours, theirs = lambda x: max_pool(x, stride), lambda x: nn.max_pool(x, (3, 3), (stride, stride))
    np.testing.assert_array_equal(ours(x), theirs(x))
    np.testing.assert_allclose(
        jax.grad(lambda x: (ours(x) ** 2).sum())(x), jax.grad(lambda x: (theirs(x) ** 2).sum())(x), rtol=1e-6
    )


@pytest.mark.parametrize("name", networks.NAMES)
def test_every_network_answers_with_a_value_for_each_action(name):
    shape, dtype = ((4,), "float32") if name == "mlp" else OBSERVATION
    network = networks.build(name, 5, 0.25)
    tree = parameters.initialise(parameters.shapes(network, shape, dtype), seed=0)
    values = network.apply({"params": tree}, np.ones((3, *shape), dtype))
    assert values.shape == (3, 5)
    assert np.isfinite(values).all()
    assert np.std(values) > 0


def test_first_values_are_flax_s_distribution_and_depend_on_the_seed():
    network = networks.build("resnet15", 6, 1)
    shapes = parameters.shapes(network, *OBSERVATION)
    ours = parameters.initialise(shapes, seed=3)
    theirs = network.init(jax.random.key(0), jnp.zeros((1, 84, 84, 1), jnp.uint8))["params"]
    for layer in ("Conv_3", "hidden"):
        a, b = ours[layer]["kernel"], np.asarray(theirs[layer]["kernel"])
        assert a.std() == pytest.approx(b.std(), rel=0.05)
        assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=0.05)
        assert not ours[layer]["bias"].any()
    again, other = parameters.initialise(shapes, seed=3), parameters.initialise(shapes, seed=4)
    assert (again["hidden"]["kernel"] == ours["hidden"]["kernel"]).all()
    assert (other["hidden"]["kernel"] != ours["hidden"]["kernel"]).any()


def test_first_values_in_pytorch_s_way():
    """Kernels and biases of Conv2d and Linear: uniform in ±1/√inputs, so with a third of that as variance."""
    tree = parameters.initialise(parameters.shapes(networks.build("resnet15", 6, 1), *OBSERVATION), 3, "pytorch")
    for layer, inputs in (("Conv_0", 9), ("Conv_7", 9 * 32), ("hidden", 49 * 32), ("values", 512)):
        for leaf in tree[layer].values():
            assert np.abs(leaf).max() <= inputs**-0.5
        assert tree[layer]["kernel"].std() == pytest.approx((3 * inputs) ** -0.5, rel=0.1)
        assert tree[layer]["bias"].any()


def test_pixels_as_bytes_are_255_times_as_large():
    frames = np.random.default_rng(0).integers(256, size=(2, 84, 84, 1), dtype=np.uint8)
    for name in ("resnet15", "nature"):
        unit, byte = (networks.build(name, 6, 1 / 4, inputs=of) for of in (networks.PIXELS, networks.AS_THEY_ARE))
        tree = parameters.initialise(parameters.shapes(unit, *OBSERVATION), seed=0)
        assert jax.tree.structure(parameters.shapes(byte, *OBSERVATION)) == jax.tree.structure(tree)
        values = [np.asarray(network.apply({"params": tree}, frames)) for network in (unit, byte)]
        np.testing.assert_allclose(values[1], 255 * values[0], rtol=1e-3)  # biases are zero


@pytest.mark.parametrize(("text", "number"), [("55K", 55e3), ("1M", 1e6), ("2.5m", 2.5e6), ("1B", 1e9), ("1234", 1234)])
def test_sizes_as_people_write_them(text, number):
    assert parameters.parse_count(text) == number


@pytest.mark.parametrize("text", ["", "M", "-1M", "inf", "many"])
def test_what_is_not_a_size(text):
    with pytest.raises(ValueError):  # noqa: PT011
        parameters.parse_count(text)


@pytest.mark.parametrize("name", ["resnet15", "resnet30", "grid"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 2), (7, 7, 3), (28, 28, 1), (64, 48, 3)])
def test_images_of_any_size(name, shape):
    network = networks.build(name, 4, 1 / 16)
    tree = parameters.shapes(network, shape, "uint8")
    images = jax.ShapeDtypeStruct((2, *shape), "uint8")
    found = jax.eval_shape(lambda tree, images: network.apply({"params": tree}, images), tree, images)
    assert found.shape == (2, 4)
    assert 0 < parameters.count(tree) < 100_000


@pytest.mark.parametrize(("name", "shape"), [("resnet15", (3, 40, 2)), ("grid", (2, 7, 3))])
def test_what_is_padded_is_looked_at(name, shape):
    network = networks.build(name, 4, 1 / 2)
    tree = parameters.initialise(parameters.shapes(network, shape, "uint8"), 0)
    images = np.random.default_rng(0).integers(256, size=(2, *shape), dtype=np.uint8)
    one, other = np.asarray(jax.jit(network.apply)({"params": tree}, images))
    assert not np.allclose(one, other)


def test_the_fast_network_is_for_square_images_that_are_large_enough():
    for name, least in (("resnet15", 29), ("resnet30", 53)):
        network = networks.build(name, 4, 1 / 4)
        assert fast.choose(network, (least, least, 3), 16) is not None
        assert fast.choose(network, (least - 1, least - 1, 3), 16) is None
        assert fast.choose(network, (84, 96, 3), 16) is None
    network, shape = networks.build("resnet15", 4, 1 / 4), (29, 29, 3)
    tree = parameters.initialise(parameters.shapes(network, shape, "uint8"), 0)
    images = np.random.default_rng(0).integers(256, size=(2, *shape), dtype=np.uint8)
    wanted = network.apply({"params": tree}, images)
    found = fast.learning(network, fast.by_rule(network, shape))({"params": tree}, images)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
