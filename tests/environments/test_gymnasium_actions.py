"""Actions of Gymnasium's spaces: what can be carried, what cannot, β, and what the environment is given."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rtrl_jax import UserError, actions, environments
from rtrl_jax.actions import Vector, draw
from rtrl_jax.environments import gymnasium_actions


class Takes(gymnasium.Env):
    """It keeps what it is given."""

    observation_space = spaces.Box(-1, 1, (1,))
    metadata = {"render_modes": [], "render_fps": 50}  # noqa: RUF012

    def __init__(self, space):
        self.action_space = space

    def reset(self, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), repr(action)
        self.given = action
        return np.zeros(1, np.float32), 0.0, False, False, {}


def made(space, **how):
    gymnasium.register("Takes-v0", lambda: Takes(space))
    try:
        return environments.make("gymnasium/Takes-v0", **how)
    finally:
        del gymnasium.registry["Takes-v0"]


@pytest.mark.parametrize(
    ("space", "actions", "nothing"),
    [
        (spaces.Discrete(3, start=5), 3, 0),
        (spaces.Box(-2, 2, (1,)), Vector((-2.0,), (2.0,)), (0.0,)),
        (spaces.Box(np.array([-1, 1]), np.array([1, 2])), Vector((-1.0, 1.0), (1.0, 2.0)), (0.0, 1.5)),
        (spaces.Box(0, 1, (2, 2), np.float64), Vector((0.0,) * 4, (1.0,) * 4), (0.0,) * 4),
        (spaces.Box(3, 8, (1,), np.int64), Vector((3.0,), (8.0,), True), (5,)),
        (spaces.MultiDiscrete([3, 2], start=[0, 1]), Vector((0.0, 1.0), (2.0, 2.0), True), (0, 1)),
        (spaces.MultiBinary(2), Vector((0.0, 0.0), (1.0, 1.0), True), (0, 0)),
    ],
)
def test_every_action_arrives_as_the_environment_takes_it(space, actions, nothing):
    world, rng = made(space), np.random.default_rng(0)
    world.reset()
    assert (world.spec.actions, world.spec.default_action) == (actions, nothing)
    for action in [nothing, *(draw(actions, rng) for _ in range(30))]:
        world.step(action)
    if actions == Vector((0.0,) * 4, (1.0,) * 4):
        world.step(np.array([0.0, 0.25, 0.5, 2.0], np.float32))  # rounding may lead beyond a bound
        assert world._environment.unwrapped.given.tolist() == [[0, 0.25], [0.5, 1]]


@pytest.mark.parametrize(
    "within", [Vector((-2.0, 1.0), (2.0, 2.0)), Vector((0.0, 1.0), (2.0, 2.0), True)], ids=["real", "whole"]
)
def test_what_is_drawn_fills_the_bounds(within):
    rng = np.random.default_rng(0)
    drawn, low, high = np.array([draw(within, rng) for _ in range(400)]), np.array(within.low), np.array(within.high)
    for found, wanted in ((drawn.min(0), low), (drawn.max(0), high), (drawn.mean(0), (low + high) / 2)):
        assert (np.abs(found - wanted) < 0.1 * (high - low)).all()


@pytest.mark.parametrize(
    ("space", "says"),
    [
        (spaces.Box(-np.inf, np.inf, (2,)), "number 0 of its actions lies between -inf and inf: bounds must be finite"),
        (spaces.Text(4), "its actions (Text) cannot be carried"),
        (spaces.Dict({"a": spaces.Discrete(2)}), "its actions (Dict) cannot be carried"),
        (spaces.Box(0, 1, (0,)), "its actions have 0 numbers"),
    ],
)
def test_what_cannot_be_carried(space, says):
    with pytest.raises(UserError, match=says.replace("(", r"\(").replace(")", r"\)")):
        made(space)


def test_bounds_that_are_no_numbers():
    space = spaces.Box(-1, 1, (2,))
    space.low = np.array([-1, np.nan], np.float32)
    with pytest.raises(ValueError, match="number 1 of its actions lies between nan and 1"):
        gymnasium_actions.of(space)


def test_a_stated_default_action():
    space = spaces.Box(np.array([-1, 1]), np.array([1, 2]))
    assert made(space, default_action=[0.5, 1]).spec.default_action == (0.5, 1)
    for wrong, says in (
        ({"default_action": [0.5]}, "=0.5 is no action of gymnasium/Takes-v0: it has 2 numbers, from -1 to 1, 1 to 2"),
        ({"default_action": [0, 3]}, "=0,3 is no action"),
        ({"default_action_index": 0}, "are vectors of 2 numbers: give --default_action=V,V"),
    ):
        with pytest.raises(UserError, match=says):
            made(space, **wrong)
    with pytest.raises(UserError, match="=0,1: gymnasium/CartPole-v1 has 2 actions, numbered from 0"):
        environments.make("gymnasium/CartPole-v1", default_action=[0, 1])


@pytest.mark.parametrize(
    "space", [spaces.MultiDiscrete([3, 2], dtype=np.int32), spaces.Box(-1, 1, (2,))], ids=["whole", "real"]
)
def test_a_world_may_do_with_an_action_what_it_likes(space):
    """Neither the board's record nor what is recorded of it changes with it."""
    world, row = made(space), np.zeros(1, [("action", actions.layout(gymnasium_actions.of(space)))])
    world.reset()
    action = actions.value(row[0]["action"])
    world.step(action)
    world._environment.unwrapped.given += 1
    assert action.tolist() == [0, 0]
    action += 1
    assert row["action"].tolist() == [[0, 0]]
