"""Environments by name: frames, actions, rates, and names that do not exist."""

import gymnasium
import numpy as np
import pytest

from rtrl_jax import UserError, environments
from rtrl_jax.environments.atari import games
from rtrl_jax.environments.frames import small_grey


def test_atari_is_noframeskip_v4_frame_by_frame():
    ours = environments.make("atari/Boxing")
    theirs = gymnasium.make("BoxingNoFrameskip-v4", obs_type="grayscale", disable_env_checker=True)
    assert (ours.reset(seed=5) == small_grey(theirs.reset(seed=5)[0])).all()
    rng = np.random.default_rng(0)
    for _ in range(400):
        action = int(rng.integers(ours.spec.actions))
        frame, reward, terminated, truncated = ours.step(action)
        picture, their_reward, their_terminated, their_truncated, _ = theirs.step(action)
        assert (frame == small_grey(picture)).all()
        assert (reward, terminated, truncated) == (their_reward, their_terminated, their_truncated)
    assert ours.spec.rate_hz == 60.0
    assert ours.spec.observation_shape == frame.shape == (84, 84, 1)
    assert len(np.unique(frame)) > 3


def test_every_game_of_ale_is_there():
    assert len(games()) >= 100
    for game in ("Boxing", "Krull", "NameThisGame", "Tetris"):
        environment = environments.make(f"atari/{game}")
        assert environment.reset(seed=0).dtype == np.uint8
        environment.close()


def test_vectors_and_their_rate():
    environment = environments.make("gymnasium/CartPole-v1")
    assert environment.spec[:6] == ((4,), "float32", 2, 0, 50, 1e-3)
    assert environment.reset(seed=0).shape == (4,)
    frame, reward, terminated, _ = environment.step(1)
    assert (frame.dtype, reward, terminated) == (np.float32, 1.0, False)


def test_discrete_observations_become_one_hot():
    environment = environments.make("gymnasium/FrozenLake-v1", rate_hz=10)
    assert environment.reset(seed=0).sum() == 1
    assert environment.spec.observation_shape == (16,)


def test_area_interpolation_keeps_the_mean():
    picture = np.random.default_rng(0).integers(0, 256, (210, 160), np.uint8)
    assert small_grey(picture).mean() == pytest.approx(picture.mean(), abs=1)
    assert small_grey(np.stack([picture] * 3, -1)).shape == (84, 84, 1)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("atari/Boxng", {}, "did you mean Boxing"),
        ("gymnasium/CartPol-v1", {}, "did you mean CartPole-v1"),
        ("Boxing", {}, "did you mean atari/Boxing"),
        ("gymnasium/Pendulum-v1", {"default_action_index": 1}, "are vectors of 1 numbers"),
        ("gymnasium/no_such_module:Thing-v0", {}, "not installed"),
        ("gymnasium/Blackjack-v1", {"default_action_index": 7}, "it has 2"),
        ("atari/Boxing", {"default_action_index": -1}, "numbered from 0"),
    ],
)
def test_what_cannot_be_played_is_one_line(name, options, says):
    with pytest.raises(UserError, match=says) as error:
        environments.make(name, **options)
    assert "\n" not in str(error.value)


def test_an_environment_without_a_rate_asks_for_one():
    class Still(gymnasium.Env):
        observation_space, action_space = gymnasium.spaces.Box(0, 1, (2,)), gymnasium.spaces.Discrete(2)

    gymnasium.register("Still-v0", entry_point=Still)
    with pytest.raises(UserError, match="--rate_hz"):
        environments.make("gymnasium/Still-v0")
    assert environments.make("gymnasium/Still-v0", rate_hz=5).spec.rate_hz == 5
