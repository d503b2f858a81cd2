"""Inactive units are counted as a direct computation counts them, in every network and on the fast path."""

import jax
import numpy as np
import pytest

from rtrl_jax import networks
from rtrl_jax.networks import Heads, fast, hidden, parameters

SEED = np.uint32(4)


def made(name, shape, dtype, width, heads=networks.VALUES):
    network = networks.build(name, 3, width, heads)
    values = parameters.initialise(parameters.shapes(network, shape, dtype), 2)
    rng = np.random.default_rng(1)
    seen = rng.integers(256, size=(4, *shape)).astype(dtype) if dtype == "uint8" else rng.normal(size=(4, *shape))
    return network, values, seen.astype(dtype)


def shares(apply, values, seen):
    return jax.tree.map(float, jax.jit(hidden.inactive(apply))(values, seen, SEED))


def test_planted_dead_units_of_an_mlp_are_those_found():
    network, values, seen = made("mlp", (5,), "float32", 0.25)  # 32 units, twice
    rng = np.random.default_rng(3)
    values = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), values)
    first, second = values["Dense_0"], values["Dense_1"]
    first["bias"][:] = 3 * np.abs(first["kernel"]).sum(0) + 1  # alive on these observations
    second["bias"][:] = 1e3
    assert np.abs(seen).max() < 3
    assert shares(network.apply, values, seen).all == 0
    first["bias"][:5] = second["bias"][:3] = -1e6
    found = shares(network.apply, values, seen)
    assert found.all == pytest.approx(8 / 64)
    assert np.isnan(found.channels)


def by_hand(values, seen):
    """(inactive, units) of each relu of the 15-layer ResNet, without Flax: channels first in the list, the hidden layer last."""

    def convolve(x, layer, padding):
        own, dimensions = values[f"Conv_{layer}"], ("NHWC", "HWIO", "NHWC")
        return (
            jax.lax.conv_general_dilated(x, own["kernel"], (1, 1), padding, dimension_numbers=dimensions) + own["bias"]
        )

    def idle(x):
        return int((np.asarray(x) <= 0).all(axis=tuple(range(x.ndim - 1))).sum()), x.shape[-1]

    x, found = seen.astype(np.float32) / 255, []
    for block in range(3):
        x = convolve(x, 5 * block, "VALID")
        x = jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")
        for pair in (1, 3):
            y = convolve(jax.nn.relu(x), 5 * block + pair, "SAME")
            found += [idle(x), idle(y)]
            x = x + convolve(jax.nn.relu(y), 5 * block + pair + 1, "SAME")
    found.append(idle(x))
    features = np.maximum(np.asarray(x), 0).reshape(len(x), -1)
    return [*found, idle(features @ values["hidden"]["kernel"] + values["hidden"]["bias"])]


@pytest.mark.parametrize("width", [1 / 16, 1 / 4])  # whose images lie in planes, and with channels last
def test_a_resnet_plain_and_fast_is_as_by_hand(width):
    network, values, seen = made("resnet15", (84, 84, 1), "uint8", width)
    for layer in (1, 6, 9):
        values[f"Conv_{layer}"]["bias"][0] = -1e6
    expected = by_hand(values, seen)
    idle, units = np.array(expected).sum(0)
    channels = np.array(expected[:-1]).sum(0)
    assert len(expected) == 14
    assert channels[0] >= 3
    plan = fast.by_rule(network, (84, 84, 1))
    for apply in (network.apply, fast.learning(network, plan)):
        found = shares(apply, values, seen)
        assert found.all == pytest.approx(idle / units)
        assert found.channels == pytest.approx(channels[0] / channels[1])


def test_every_stream_of_the_head_is_looked_at_with_noise_too():
    network, values, seen = made("nature", (84, 84, 1), "uint8", 1 / 16, Heads(dueling=True, noisy=True, atoms=3))
    for name in ("state_hidden", "advantage_hidden"):
        values[name]["mu_bias"][:] = -1e6
    values["Conv_0"]["bias"][:] = -1e6
    found = shares(network.apply, values, seen)
    assert found.all == pytest.approx((1024 + 2 + 4 + 4) / (1024 + 2 + 4 + 4), abs=0.01)
    assert found.channels >= 0.2


def test_nobody_who_does_not_look_pays_for_it():
    network, values, seen = made("mlp", (5,), "float32", 0.25)
    text = jax.jit(network.apply).lower({"params": values}, seen).compile().as_text()
    assert "reduce" not in text
