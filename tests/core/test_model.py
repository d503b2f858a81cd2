"""What settings make of a network: its first values, its pixels, its layers, its optimiser."""

import jax
import numpy as np
import pytest

from rtrl_jax.core import model as models
from rtrl_jax.core.model import Model
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.networks import AS_THEY_ARE, PIXELS
from rtrl_jax.settings import Settings

SPEC = Spec((84, 84, 1), "uint8", 6, 0, 60.0, 1e-5)
VECTORS = Spec((4,), "float32", 2, 0, 50.0, 1e-3)


def model(**given):
    return models.choose(Settings(environment="atari/Boxing", width=1 / 16, **given), SPEC)


def first_values(made: Model):
    return jax.tree.unflatten(made.structure, made.first_state()[0])


def test_first_values_are_those_that_the_settings_ask_for():
    assert not first_values(model())["hidden"]["bias"].any()
    theirs = first_values(model(initialisation="pytorch"))
    assert theirs["hidden"]["bias"].any()
    for layer in ("Conv_3", "hidden", "values"):
        bound = 1 / np.sqrt(np.prod(theirs[layer]["kernel"].shape[:-1]))
        for leaf in theirs[layer].values():
            assert np.abs(leaf).max() <= bound
    zero = first_values(model(zero_head=True))
    assert not zero["values"]["kernel"].any()
    assert zero["hidden"]["kernel"].any()


def test_the_network_is_as_the_settings_ask_for():
    assert (model().module.inputs, model().module.heads.normalisation) == (PIXELS, "none")
    other = model(input_scale="byte", normalisation="layer")
    assert (other.module.inputs, other.module.heads.normalisation) == (AS_THEY_ARE, "layer")
    for where, sizes in (("features", 7 * 7 * 2), ("hidden", 512), ("layer", 7 * 7 * 2 + 512)):
        added = model(normalisation=where).parameter_count - model().parameter_count
        assert added == 2 * sizes  # a scale and a shift for each


def test_the_optimiser_is_as_the_settings_ask_for():
    def first_change(**given):
        made = model(learning_rate=1e-2, **given)
        leaves = {"w": np.zeros(1, np.float32)}
        change, _ = made.optimiser.update({"w": np.full(1, 1e-3, np.float32)}, made.optimiser.init(leaves), leaves)
        return float(change["w"][0])

    assert first_change() == pytest.approx(-1e-2, rel=1e-3)
    assert first_change(learning_rate_warmup=4) == pytest.approx(-1e-2 / 4, rel=1e-3)
    assert first_change(adam_epsilon=1e-3) == pytest.approx(-1e-2 / 2, rel=1e-3)


def test_the_optimiser_s_state_is_the_same_with_a_warm_up():
    """So the slots on the board, and a checkpoint, fit with and without."""
    shapes = [jax.tree.map(lambda leaf: leaf.shape, model(learning_rate_warmup=n).optimiser_shapes) for n in (0, 9)]
    assert shapes[0] == shapes[1]


def test_vectors_have_no_bytes():
    with pytest.raises(UserError, match="--input_scale=byte is of pixels"):
        models.choose(Settings(environment="gymnasium/CartPole-v1", input_scale="byte"), VECTORS)
