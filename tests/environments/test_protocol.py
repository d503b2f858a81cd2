"""What every environment has, and what stands in for the optional parts that it has not."""

import numpy as np
import pytest
from simulation import Counter

from rtrl_jax import environments
from rtrl_jax.environments import Environment, NotFinite, Progress
from rtrl_jax.environments.saving import whole_state

NAMES = ("atari/Breakout", "gameboy/duel-battles", "gymnasium/CartPole-v1", "toy/chain-0.9")


@pytest.fixture(params=NAMES)
def environment(request):
    made = environments.make(request.param)
    yield made
    made.close()


def test_all_declare_it_and_do_what_it_says(environment):
    assert Environment in type(environment).__mro__
    spec = environment.spec
    frame = environment.reset(seed=0)
    for action in (0, spec.actions - 1, spec.default_action):
        assert (frame.shape, frame.dtype) == (spec.observation_shape, np.dtype(spec.observation_dtype))
        frame, reward, *ends = environment.step(action)
        assert isinstance(reward, float)
        assert [type(end) for end in ends] == [bool, bool]
    assert isinstance(environment.progress, Progress)
    assert environment.not_finite == (0, 0)


def test_optional_parts():
    found = {}
    for name in NAMES:
        made = environments.make(name)
        made.reset(seed=0)
        picture = None if made.spec.picture_shape is None else made.picture().shape
        found[name] = (made.encounters, made.lives, picture, made.save() is not None)
        made.close()
    assert found == {
        "atari/Breakout": (1, 5, (210, 160, 3), True),
        "gameboy/duel-battles": (40, None, (144, 160, 3), True),
        "gymnasium/CartPole-v1": (1, None, None, False),
        "toy/chain-0.9": (1, None, None, False),
    }


def test_what_stands_in_for_all_of_them():
    bare = Counter()
    assert (bare.progress, bare.encounters, bare.lives, bare.not_finite) == ((0, 0, 0, 0), 1, None, NotFinite(0, 0))
    assert bare.save() is None
    assert whole_state(bare, None) == b'{"environment": null, "ticket": null}'
    for missing in (bare.picture, lambda: bare.restore({})):
        with pytest.raises(NotImplementedError):
            missing()
