"""Gymnasium environments of the user's own: what is no number, observations with words in them, and keywords."""

import math

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rtrl_jax import UserError, environments
from rtrl_jax.environments import gymnasium as adapter
from rtrl_jax.environments import saving


class Fails(gymnasium.Env):
    """Its observation and reward are what the test has put there."""

    observation_space, action_space = spaces.Box(-9, 9, (2,)), spaces.Discrete(2)
    metadata = {"render_modes": [], "render_fps": 50}  # noqa: RUF012
    gives = ([0.0, 0.0], 0.0)

    def reset(self, seed=None, options=None):
        return np.array(self.gives[0]), {}

    def step(self, action):
        return np.array(self.gives[0]), self.gives[1], False, False, {}


gymnasium.register("Fails-v0", entry_point=Fails)


def test_what_is_no_number_counts_as_0_and_is_counted():
    world = environments.make("gymnasium/Fails-v0")
    inner, found = world._environment.unwrapped, []
    world.reset()
    for inner.gives in (
        ([1, 2], 3.0),
        ([1, math.nan], 3.0),
        ([math.inf, 2], math.nan),
        ([1, 2], -math.inf),
        ([1, 1e39], 1e39),  # infinite in single precision, in which is learned
    ):
        with np.errstate(over="ignore"):
            frame, reward, *_ = world.step(0)
        found.append((frame.tolist(), reward))
    assert found == [([1, 2], 3.0), ([1, 0], 3.0), ([0, 2], 0.0), ([1, 2], 0.0), ([1, 0], 0.0)]
    assert world.not_finite == (3, 3)
    inner.gives = ([math.nan, 1], 0.0)
    assert world.reset().tolist() == [0, 1]
    assert world.not_finite == (3, 4)
    assert frame.dtype == np.float32


@pytest.mark.parametrize("given", [2, np.float32(2), np.array([2.0]), np.array([[2]])], ids=repr)
def test_one_number_is_a_reward_however_it_is_wrapped(given):
    world = environments.make("gymnasium/Fails-v0")
    world._environment.unwrapped.gives = ([0, 0], given)
    world.reset()
    assert world.step(0)[1] == 2.0


@pytest.mark.parametrize("given", [None, "much", np.array([1.0, 2.0]), [None]], ids=repr)
def test_what_is_no_reward_is_named_before_a_run_starts(given):
    world = environments.make("gymnasium/Fails-v0")
    world._environment.unwrapped.gives = ([0, 0], given)
    world.reset()
    with pytest.raises(UserError, match="gymnasium/Fails-v0: a reward is no number but of type"):
        world.step(0)


@pytest.mark.parametrize("said", [None, 0, -3, "fast", math.nan, 1e9])
def test_a_rate_that_no_run_can_have_is_none(said, monkeypatch):
    monkeypatch.setattr(Fails, "metadata", {"render_fps": said})
    with pytest.raises(UserError, match="gymnasium/Fails-v0 has no rate of its own: say how many ticks a second"):
        environments.make("gymnasium/Fails-v0")
    assert environments.make("gymnasium/Fails-v0", rate_hz=7).spec.rate_hz == 7


class Mission(gymnasium.Space):
    """A text of its own kind, as MiniGrid has it: it does not even say whether it can be flattened."""

    def __init__(self):
        super().__init__(dtype=str)

    def sample(self, mask=None, probability=None):
        return "get to the green goal"


SEEN = {"image": spaces.Box(0, 255, (7, 7, 3), np.uint8), "direction": spaces.Discrete(4)}


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (
            spaces.Dict({**SEEN, "mission": Mission()}),
            r"the field 'mission' of its observations \(Mission\).*FilterObs",
        ),
        (
            spaces.Dict({"hall": spaces.Dict({"doors": spaces.Sequence(spaces.Discrete(2))})}),
            r"'hall.doors'.*\(Sequence\)",
        ),
        (spaces.Tuple([spaces.Discrete(2), Mission()]), r"the field '1' of its observations \(Mission\)"),
        (Mission(), r"its observations \(Mission\) cannot be made into a vector: wrap it"),
        (None, "its observation_space is no space of Gymnasium's but of type NoneType"),
    ],
    ids=["dict", "nested", "tuple", "alone", "none"],
)
def test_observations_with_words_in_them_are_refused_by_name(space, says):
    gymnasium.registry.pop("Words-v0", None)
    gymnasium.register("Words-v0", entry_point=type("Words", (Fails,), {"observation_space": space}))
    with pytest.raises(UserError, match=says) as error:
        environments.make("gymnasium/Words-v0")
    assert "\n" not in str(error.value)


def test_the_remedy_that_is_named_helps():
    space = spaces.Dict({**SEEN, "mission": Mission()})
    given = {"image": np.ones((7, 7, 3), np.uint8), "direction": 2, "mission": "go"}
    minigrid = type("Words", (Fails,), {"observation_space": space, "reset": lambda self, **_: (given, {})})
    wrapped = lambda: gymnasium.wrappers.FilterObservation(minigrid(), ["image", "direction"])  # noqa: E731
    gymnasium.registry.pop("Words-v0", None)
    gymnasium.register("Words-v0", entry_point=wrapped)
    assert environments.make("gymnasium/Words-v0").reset(seed=0).shape == (4 + 7 * 7 * 3,)


class Walk(Fails):
    """That can be saved."""

    def save(self):
        return {}

    def restore(self, saved):
        pass


@pytest.mark.parametrize(
    ("wrap", "is_saved"),
    [
        (lambda world: gymnasium.wrappers.TimeLimit(world, 9), True),
        (lambda world: gymnasium.wrappers.RescaleObservation(world, -1, 1), True),
        (lambda world: gymnasium.wrappers.FrameStackObservation(world, 3), False),
        (lambda world: gymnasium.wrappers.NormalizeReward(world), False),
    ],
)
def test_a_wrapper_that_may_remember_something_is_named_in_place_of_being_forgotten(wrap, is_saved, monkeypatch):
    monkeypatch.setattr(adapter, "made", lambda name, keywords: wrap(Walk()))
    world = adapter.Gymnasium("Walk")
    world.reset(seed=0)
    state = saving.decode(saving.whole_state(world, None))
    assert (state["environment"] is not None) == is_saved
    assert is_saved or "may have a state of its own" in state["cannot_be_saved"]


def test_keywords_reach_the_environment():
    kinds = {"map_name": "8x8", "is_slippery": False}
    assert environments.make("gymnasium/FrozenLake-v1", rate_hz=5, kwargs=kinds).spec.observation_shape == (64,)
    assert environments.make("toy/chain-0.9", kwargs={"states": 8}).spec.actions == 9


@pytest.mark.parametrize(
    ("name", "kwargs", "says"),
    [
        (
            "gymnasium/FrozenLake-v1",
            {"slipery": True},
            r"with --environment_kwargs=.*unexpected keyword argument 'slipery'",
        ),
        ("gymnasium/FrozenLake-v1", {"map_name": "3x3"}, "with --environment_kwargs=.*3x3"),
        ("gymnasium/CartPole-v1", {"id": "Acrobot-v1"}, "with --environment_kwargs=.*id"),
        ("atari/Boxing", {"mode": 1}, "atari/Boxing takes none"),
        ("gameboy/stacks", {"level": 1}, "gameboy/stacks takes none"),
    ],
)
def test_keywords_that_are_not_accepted(name, kwargs, says):
    with pytest.raises(UserError, match=says) as error:
        environments.make(name, kwargs=kwargs)
    assert "\n" not in str(error.value)


def test_keywords_as_text():
    assert environments.keywords('{"continuous": false}') == environments.keywords({"continuous": False})
    assert environments.keywords(None) == environments.keywords("{}") == {}
    for wrong in ("continuous=false", "[1]", '{"a": ', {1: 2}, {"a": {1, 2}}, [1]):
        with pytest.raises(UserError, match="give a JSON object"):
            environments.keywords(wrong)
