"""The fast convolutions compute what the plain network computes: values, greedy actions and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtrl_jax import environments, networks
from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn
from rtrl_jax.networks import Heads, fast, parameters
from rtrl_jax.networks.fast import convolution, measure, plan, pooling
from rtrl_jax.networks.resnet import max_pool

SHAPE = (84, 84, 1)
LAST_DIGITS = 1e-4  # relative


def build(name="resnet15", width=1.0, heads=networks.VALUES, shape=SHAPE, inputs=networks.PIXELS):
    network = networks.build(name, 6, width, heads, inputs)
    tree = parameters.shapes(network, shape, "uint8")
    rng = np.random.default_rng(5)
    values = parameters.initialise(tree, 3)
    # Biases of a trained network are not zero.
    return network, jax.tree.map(lambda a: a + 0.1 * rng.standard_normal(a.shape, np.float32) * (a.ndim == 1), values)


def with_prepared(values, chosen):
    return fast.with_prepared(values, fast.prepare(fast.kernels(values, chosen), chosen), chosen)


def frames(count, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).integers(256, size=(count, *shape), dtype=np.uint8)


def relative(got, wanted) -> float:
    return float(np.abs(np.asarray(got) - np.asarray(wanted)).max() / np.abs(np.asarray(wanted)).max())


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("resnet15", 1 / 16),
        ("resnet15", 1 / 4),
        ("resnet15", 1),
        ("resnet15", 7),
        ("resnet15", 29),
        ("resnet30", 1 / 16),
        ("resnet30", 0.75),
        ("resnet30", 7),
    ],
)
def test_values_are_those_of_the_plain_network(name, width):
    network, values = build(name, width)
    chosen = fast.by_rule(network, SHAPE)
    act, wanted = jax.jit(fast.acting(network, chosen)), jax.jit(network.apply)
    variables = {"params": with_prepared(values, chosen)}
    for image in frames(4 if width < 7 else 1):
        assert relative(act(variables, image[None]), wanted({"params": values}, image[None])) < LAST_DIGITS


def test_stacked_frames_and_every_head():
    heads, shape = Heads(dueling=True, noisy=True, atoms=11), (84, 84, 4)
    network, values = build(heads=heads, shape=shape)
    chosen = fast.by_rule(network, shape)
    key, images = {"rngs": {"noise": jax.random.key(1)}}, frames(2, shape)
    wanted = network.apply({"params": values}, images, **key)
    assert (
        relative(fast.acting(network, chosen)({"params": with_prepared(values, chosen)}, images, **key), wanted)
        < LAST_DIGITS
    )
    assert relative(fast.learning(network, chosen)({"params": values}, images, **key), wanted) < LAST_DIGITS


@pytest.mark.parametrize("width", [1 / 16, 1])
@pytest.mark.parametrize(
    "heads",
    [Heads(normalisation="layer"), Heads(dueling=True, noisy=True, atoms=3, shared=True, normalisation="layer")],
)
def test_normalised_and_with_bytes_for_pixels(width, heads):
    network, values = build(width=width, heads=heads, inputs=networks.AS_THEY_ARE)
    plain = networks.build("resnet15", 6, width, heads)
    chosen, images = fast.by_rule(network, SHAPE), frames(2)
    key = {"rngs": {"noise": jax.random.key(1)}}
    wanted = network.apply({"params": values}, images, **key)
    assert relative(plain.apply({"params": values}, images, **key), wanted) > 0.1, "the scale made no difference"
    acted = fast.acting(network, chosen)({"params": with_prepared(values, chosen)}, images, **key)
    assert relative(acted, wanted) < 10 * LAST_DIGITS  # what is normalised differs less than it is large
    assert relative(fast.learning(network, chosen)({"params": values}, images, **key), wanted) < 10 * LAST_DIGITS


@pytest.mark.parametrize("game", ["gameboy/duel-battles", "gameboy/stacks"])
def test_greedy_actions_on_real_frames(game):
    network, values = build(width=0.5)
    chosen = fast.by_rule(network, SHAPE)
    environment, rng, seen = environments.make(game), np.random.default_rng(0), []
    environment.reset(seed=0)
    while len(seen) < 512:
        frame, _, ended, _ = environment.step(int(rng.integers(environment.spec.actions)))
        seen.append(environment.reset() if ended else frame)
    environment.close()
    seen = np.stack(seen)
    wanted = np.asarray(jax.jit(network.apply)({"params": values}, seen))
    got = np.asarray(jax.jit(fast.acting(network, chosen))({"params": with_prepared(values, chosen)}, seen))
    # Untrained, it would always take the same action: let each be worth as much as the others on average.
    wanted, got = (q - wanted.mean(0) for q in (wanted, got))
    assert len(np.unique(wanted.argmax(1))) > 2
    assert np.mean(got.argmax(1) == wanted.argmax(1)) >= 0.999


@pytest.mark.parametrize("way", [*convolution.WAYS, convolution.PLANES])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("rectify", [True, False])
def test_every_way_convolves_and_differentiates_alike(way, padded, rectify):
    rng = np.random.default_rng(2)
    order = "NCHW" if way == convolution.PLANES else "HWNC"
    sizes = {"H": 9, "W": 10, "N": 2, "C": 3}
    x, kernel, bias = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in (tuple(sizes[axis] for axis in order), (3, 3, 3, 5), (5,))
    )
    out = convolution.xla(x, kernel, padded, order).shape
    residual, dy = (rng.standard_normal(out).astype(np.float32) for _ in range(2))
    bias_shape = [5 if axis == "C" else 1 for axis in order]

    def plain(x, kernel, bias, residual):
        y = convolution.xla(jax.nn.relu(x) if rectify else x, kernel, padded, order)
        return y + bias.reshape(bias_shape) + residual

    def quick(*arrays):
        to_kernel = way if way in (*convolution.GRADIENT_WAYS, convolution.PLANES) else "xla"
        return convolution.differentiable(padded, (way, way, to_kernel), rectify, *arrays)

    wanted, gradients = jax.vjp(plain, x, kernel, bias, residual)
    got, fast_gradients = jax.vjp(quick, x, kernel, bias, residual)
    assert relative(got, wanted) < LAST_DIGITS
    for a, b in zip(fast_gradients(dy), gradients(dy), strict=True):
        assert relative(a, b) < LAST_DIGITS


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("axes", "size"), [((0, 1), 9), ((0, 1), 10), ((2, 3), 10)])
def test_pooling_pools_and_differentiates_alike(stride, axes, size):
    rng, shape = np.random.default_rng(3), [2, 2, 2, 2]
    for axis in axes:
        shape[axis] = size
    x, bias = (
        rng.standard_normal(of).astype(np.float32) for of in (shape, (1, 2, 1, 1) if axes == (2, 3) else (1, 1, 1, 2))
    )
    wanted, gradient = jax.vjp(lambda x, bias: max_pool(x, stride, axes) + bias, x, bias)
    got, fast_gradient = jax.vjp(lambda x, bias: pooling.pool(x, bias, stride, axes), x, bias)
    dy = rng.standard_normal(wanted.shape).astype(np.float32)
    np.testing.assert_array_equal(got, wanted)
    for ours, theirs in zip(fast_gradient(dy), gradient(dy), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_of_equal_numbers_the_first_gets_the_gradient():
    _, gradient = jax.vjp(
        lambda x: pooling.pool(x, np.zeros((1, 1, 1), np.float32), 1, (0, 1)), np.zeros((3, 3, 1), np.float32)
    )
    assert gradient(np.ones((1, 1, 1), np.float32))[0].ravel().tolist() == [1] + [0] * 8


@pytest.mark.parametrize(("name", "width"), [("resnet15", 1 / 16), ("resnet15", 1)])
def test_gradients_are_those_of_autodiff(name, width):
    network, values = build(name, width)
    chosen = fast.by_rule(network, SHAPE)
    numbers = np.ones(4, np.float32)
    batch = agents.Batch(frames(4), np.arange(4), numbers, numbers, frames(4, seed=1), numbers)
    slopes = [
        jax.jit(agents.gradients(dqn.make(apply)))(values, values, batch, np.uint32(0))[0]
        for apply in (network.apply, fast.learning(network, chosen))
    ]
    wanted, got = (jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(slope)]) for slope in slopes)
    assert float(jnp.linalg.norm(got - wanted) / jnp.linalg.norm(wanted)) < LAST_DIGITS


def test_what_was_measured_is_kept_and_nonsense_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("RTRL_CACHE", str(tmp_path))
    network, _ = build(width=0.25)
    of = (network, SHAPE, 16)
    assert fast.choose(*of) == plan.by_rule(network, SHAPE)
    measured, times = plan.by_rule(network, SHAPE)._replace(acting=("xla",) * 15), [[{}] * 4] * 15
    path = plan.keep(measured, times, *of)
    assert fast.choose(*of) == measured
    assert fast.choose(network, SHAPE, 32) == plan.by_rule(network, SHAPE) != measured
    assert fast.choose(*of, "bfloat16") == plan.by_rule(network, SHAPE, "bfloat16")
    path.write_text(path.read_text().replace("xla", "magic"))
    assert fast.choose(*of) == plan.by_rule(network, SHAPE)
    assert fast.choose(networks.build("nature", 6), SHAPE, 16) is None


def test_the_fastest_way_is_taken_of_those_that_were_measured():
    network, shape = networks.build("resnet15", 6, 0.5), (36, 36, 1)
    found, times = measure.measure(network, shape, 2, "float32", seconds=0.003)
    rule = plan.by_rule(network, shape)
    for layer, (acting, *learning) in enumerate(times):
        assert set(acting) >= {"xla", "F2", "F4"}
        ways = zip((found.acting[layer], *found.learning[layer]), (acting, *learning), strict=True)
        for (way, measured), usual in zip(ways, (rule.acting[layer], *rule.learning[layer]), strict=True):
            fastest = min(measured, key=measured.get, default=usual)
            assert way == fastest or (
                way == usual and measured.get(usual, 0) * measure.WORTH < measured.get(fastest, 1)
            )
    values = parameters.initialise(parameters.shapes(network, shape, "uint8"), 3)
    images = frames(2, shape)
    assert (
        relative(fast.learning(network, found)({"params": values}, images), network.apply({"params": values}, images))
        < LAST_DIGITS
    )


def test_short_numbers_cost_a_hundredth_of_a_value():
    network, values = build(width=1)
    chosen = fast.plan_text.read("shifts/shifts/xla/xla,F2:14", network, SHAPE, "bfloat16")
    assert set(plan.by_rule(networks.build("resnet15", 6, 7), SHAPE, "bfloat16").acting) == {"xla", "F2"}
    variables = {"params": with_prepared(values, chosen)}
    assert {leaf.dtype.name for leaf in fast.prepare(fast.kernels(values, chosen), chosen)} == {"bfloat16"}
    act = jax.jit(fast.acting(network, chosen))
    for image in frames(2):
        got = relative(act(variables, image[None]), network.apply({"params": values}, image[None]))
        assert 1e-6 < got < 0.02


def test_transformed_filters_of_the_largest_network_fit_into_memory():
    network = networks.build("resnet15", 6, 98)
    tree = parameters.shapes(network, SHAPE, "uint8")
    chosen = fast.by_rule(network, SHAPE)
    prepared = jax.eval_shape(lambda kernels: fast.prepare(kernels, chosen), fast.kernels(tree, chosen))
    assert plan.MOST_PREPARED / 2 < 4 * parameters.count(prepared) <= plan.MOST_PREPARED
    assert chosen.acting[1:5] == ("F4",) * 4  # where it saves most
