"""The toy worlds: rewards by hand, transition frequencies, the ids, and names that do not exist."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rtrl_jax import UserError, environments
from rtrl_jax.environments import toy


@pytest.mark.parametrize("name", toy.NAMES)
def test_they_keep_to_gymnasiums_rules(name):
    check_env(gymnasium.make(name, disable_env_checker=True).unwrapped, skip_render_check=True)


def test_what_is_left_to_the_default_action_is_lost_a_tick_later():
    world = gymnasium.make("toy/Inaction-v0")
    world.reset(seed=0)
    assert [world.step(action)[1] for action in (1, 0, 0, 2, 1, 0)] == [1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize(("name", "likely"), [("toy/Delay-v0", 0), ("toy/Chain-v0", 1)])
def test_moves_are_as_likely_as_they_should_be(name, likely):
    world = gymnasium.make(name, p=0.7, states=5)
    state, _ = world.reset(seed=1)
    moves = []
    for _ in range(4000):
        following, reward, terminated, truncated, _ = world.step(state + 1)
        assert (reward, terminated, truncated) == (1.0, False, False)
        moves.append((following - state) % 5)
        state = following
    frequency = np.bincount(moves, minlength=5) / len(moves)
    others = [0, 0.3, 0, 0, 0] if likely == 0 else [0.075] * 5
    assert frequency == pytest.approx([0.7 if move == likely else others[move] for move in range(5)], abs=0.03)


def test_the_default_and_the_wrong_action_earn_nothing():
    world = gymnasium.make("toy/Chain-v0", p=1.0, states=4)
    state, _ = world.reset(seed=0)
    for offset in (None, 1, 2, 3):
        action = 0 if offset is None else 1 + (state + offset) % 4
        following, reward, *_ = world.step(action)
        assert reward == 0.0
        assert following == (state + 1) % 4
        state = following


def test_names_with_a_probability():
    environment = environments.make("toy/chain-0.5")
    assert environment.spec[:6] == ((64,), "uint8", 65, 0, 50, 1e-3)
    frame = environment.reset(seed=3)
    assert frame.sum() == 1
    assert environment.step(1 + int(frame.argmax()))[1] == 1.0
    assert environments.make("toy/delay-0.5").spec.actions == 65
    assert environments.make("toy/chain-0.5", rate_hz=200).spec.rate_hz == 200
    assert environments.make("toy/Inaction-v0").spec.actions == 3


def test_the_same_seed_is_the_same_world():
    def play(seed):
        environment = environments.make("toy/chain-0.5")
        return [environment.reset(seed).argmax(), *(environment.step(0)[0].argmax() for _ in range(50))]

    assert play(4) == play(4) != play(5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("toy/Chain", "did you mean toy/Chain-v0"),
        ("toy/delay-v0", "did you mean toy/Delay-v0"),
        ("toy/maze-0.9", "toy/chain-P"),
        ("toy/", "toy/chain-P"),
        ("toy/chain-1.5", "no probability"),
        ("toy/chain-0", "no probability"),
        ("toy/chain-nan", "no probability"),
        ("toy/chain-", "no probability"),
        ("toys/chain-0.9", "toy/<name>"),
    ],
)
def test_names_that_do_not_exist(name, says):
    with pytest.raises(UserError, match=says) as error:
        environments.make(name)
    assert "\n" not in str(error.value)


def test_a_real_run(launch, tmp_path):
    flags = ("--environment=toy/chain-0.9", "--emulated_inference_ms=5", "--learner_workers=0", "--max_ticks=100")
    done = launch(*flags, f"--run_dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "run" / "ticks.npz") as ticks:
        assert len(ticks["reward"]) == 100
        assert set(ticks["reward"]) <= {0.0, 1.0}
