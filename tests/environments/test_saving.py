"""The state of an environment as bytes: what comes back, and one that cannot be saved, does not fit or cannot be gone on from."""

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from rtrl_jax import environments
from rtrl_jax.board.layout import ENVIRONMENT_BYTES
from rtrl_jax.environments import saving
from rtrl_jax.stagger import Ticket


def state(console):
    ticket = Ticket(2)
    ticket.observe(3, used_network=True)
    world = SimpleNamespace(save=lambda: {"console": console})
    return saving.whole_state(world, ticket), {"console": console}, ticket.save()


def test_environment_and_ticket_come_back():
    data, environment, ticket = state(b"\x00\xff")
    assert saving.decode(data) == {"environment": environment, "ticket": ticket}


def test_what_does_not_fit_is_left_out_and_the_ticket_kept():
    data, _, ticket = state(bytes(ENVIRONMENT_BYTES))
    assert len(data) <= ENVIRONMENT_BYTES
    decoded = saving.decode(data)
    assert (decoded["environment"], decoded["ticket"]) == (None, ticket)
    assert "there is room for 1,048,576" in decoded["cannot_be_saved"]


@pytest.mark.parametrize(
    "value",
    [
        np.int64(7),
        np.uint8(255),
        np.bool_(True),
        np.float32(0.1),
        np.arange(6, dtype=np.int16).reshape(2, 3)[:, ::2],
        np.array([1.5, np.inf]),
        np.array([True, False]),
        np.zeros((0, 3), np.float32),
        np.array(["north", "süd"]),
        np.array(3.0),
        np.random.MT19937(0).state["state"]["key"],
    ],
    ids=lambda value: f"{type(value).__name__}-{value.dtype}",
)
def test_numpy_comes_back_as_it_was(value):
    found = saving.decode(saving.encode({"deep": [{"value": value}]}))["deep"][0]["value"]
    assert type(found) is type(value) or value.shape == ()
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    assert (found == value).all()
    if found.size and isinstance(found, np.ndarray):
        found[...] = found  # it can be written to


class Walk(gymnasium.Env):
    """A walk that `save` and `restore` of a test's choice are given to."""

    observation_space, action_space = gymnasium.spaces.Box(-99, 99, (1,)), gymnasium.spaces.Discrete(2)
    metadata = {"render_modes": [], "render_fps": 50}  # noqa: RUF012

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.at = np.int64(0)
        return np.float32([self.at]), {}

    def step(self, action):
        self.at += self.np_random.integers(1, 5)
        return np.float32([self.at]), 0.0, False, False, {}


def walk(**methods):
    made = type("Walk", (Walk,), methods)
    gymnasium.registry.pop("Walk-v0", None)
    gymnasium.register("Walk-v0", entry_point=made, max_episode_steps=9)
    return environments.make("gymnasium/Walk-v0")


def restore(self, saved):
    self.at = saved["at"]
    self.np_random.bit_generator.state = saved["rng"]


GOOD = {
    "save": lambda self: {"at": self.at, "rng": self.np_random.bit_generator.state},
    "restore": restore,
}


def test_a_walk_with_numpy_numbers_in_it_is_saved_and_goes_on_exactly():
    first = walk(**GOOD)
    assert saving.why_not(first) is None
    first.reset(seed=1)
    for _ in range(4):
        first.step(0)
    data = saving.whole_state(first, None)
    rest = [first.step(0) for _ in range(5)]
    second = walk(**GOOD)
    second.restore(saving.decode(data)["environment"])
    assert [second.step(0) for _ in range(5)] == rest
    assert rest[-1][3], "truncated where the first would have been"
    assert type(second._environment.unwrapped.at) is np.int64


def raises(self):
    raise ValueError("a pipe\ncannot be copied" + "!" * 1000)


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ({"save": lambda self, path: None}, "missing 1 required positional argument: 'path'"),
        ({"save": lambda self: {"seen": {1, 2}}}, "set in what it saves"),
        ({"save": lambda self: {"seen": np.array([None])}}, "an array of object"),
        ({"save": lambda self: {"seen": {np.int64(1): 2}}}, "keys must be"),
        ({"save": raises}, "ValueError: a pipe cannot be copied"),
        ({"save": lambda self: {"film": np.zeros(ENVIRONMENT_BYTES, np.uint8)}}, "there is room for"),
    ],
    ids=["signature", "a set", "objects", "keys", "raises", "too large"],
)
def test_one_that_cannot_be_saved_is_known_beforehand_and_ends_no_run(methods, says):
    world = walk(**{**GOOD, **methods})
    reason = saving.why_not(world)
    assert says in reason
    assert "\n" not in reason
    assert len(reason) < 250
    world.reset(seed=0)
    decoded = saving.decode(saving.whole_state(world, None))
    assert decoded["environment"] is None
    assert says in decoded["cannot_be_saved"]
    world.step(0)


def test_one_that_cannot_be_gone_on_from():
    world = walk(save=lambda self: {"rooms": {1: "hall"}}, restore=lambda self, saved: saved["rooms"][1])
    reason = saving.why_not(world)
    assert "going on from what it saved fails, KeyError: 1" in reason
    decoded = saving.decode(saving.whole_state(world, None, reason))
    assert decoded == {"environment": None, "ticket": None, "cannot_be_saved": reason}


def test_nothing_is_said_of_one_that_does_not_offer_it_or_cannot_begin():
    assert saving.why_not(walk()) is None
    assert saving.why_not(walk(**GOOD, reset=raises)) is None


@pytest.mark.parametrize("name", ["atari/Boxing", "gameboy/duel-catching"])
def test_our_own_can_be_saved(name):
    environment = environments.make(name)
    assert saving.why_not(environment) is None
    environment.close()


@pytest.mark.parametrize(
    "content", ['["<f4", [2], "AAAA"]', '["junk", [1], "AAAA"]', "[1]", '["|O", [1], "AAAAAAAAAAA="]']
)
def test_a_damaged_array_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"."):
        saving.decode(f'{{"numpy array": {content}}}'.encode())
