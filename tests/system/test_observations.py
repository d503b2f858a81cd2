"""Runs whose observations are neither games' pictures nor CartPole's: what is seen, learned from, kept and told."""

import importlib
import json
import pathlib
import sys

import numpy as np
import pytest

import rtrl_jax
from rtrl_jax import UserError
from rtrl_jax.checkpoints import load_policy
from rtrl_jax.networks.inputs import STATISTICS

WORLDS = """
import gymnasium
import numpy as np
from gymnasium import spaces


class Grid(gymnasium.Env):
    observation_space, action_space = spaces.Box(0, 255, (5, 6, 3), np.uint8), spaces.Discrete(3)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample() % 8, {}

    def step(self, action):
        self.steps = getattr(self, "steps", 0) + 1
        return np.full((5, 6, 3), self.steps % 8, np.uint8), float(action == 1), self.steps % 40 == 0, False, {}


class Far(Grid):
    '''Numbers of thousands, one that never changes, and a state of which they are all made.'''

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.see(0), {}

    def see(self, state):
        return np.array([4000 + 300 * state, 7, self.np_random.normal()], np.float32)

    def step(self, action):
        return self.see(action), float(action == 1), False, False, {}


class Changes(Far):
    def step(self, action):
        self.steps = getattr(self, "steps", 0) + 1
        seen = self.see(action)
        return (seen if self.steps < 30 else seen[:2]), 0.0, False, False, {}


class Old(Far):
    def reset(self):
        return np.zeros(3, np.float32)


class OlderStep(Far):
    def step(self, action):
        return self.see(action), 0.0, False, {}


def none():
    return object()


def leaves():
    raise SystemExit(3)


class Before:
    '''Of a package called gym.'''


Before.__module__ = "gym.core"
"""
SHORT = {
    "rate_hz": 50,
    "delay": 3,
    "max_ticks": 150,
    "learn_start": 30,
    "epsilon_steps": 30,
    "width": 1 / 4,
    "target_every": 10,
    "display": "none",
    "trace_seconds": 0,
}


@pytest.fixture(autouse=True)
def worlds(tmp_path, monkeypatch):
    """A folder with a module of worlds, in which the test is played."""
    (tmp_path / "far_worlds.py").write_text(WORLDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("far_worlds", None)


def statistics_of(run) -> dict:
    policy = load_policy(pathlib.Path(run))
    names = ("count", "mean", "variance")  # as the tree's leaves lie, after those of the dense layers
    return dict(zip(names, policy.leaves[-3:], strict=True))


@pytest.mark.parametrize("told", [{"pending": "late"}, {"pending": "history"}, {}], ids=lambda told: str(told))
def test_a_grid_of_symbols_is_seen_by_a_small_convolution_as_it_is(told):
    summary = rtrl_jax.run(environment="far_worlds:Grid", **SHORT, **told, run_dir="run")
    assert summary["network"]["name"] == "grid"
    assert summary["observation"] == {
        "sees": "5x6x3 grids of symbols, uint8 as they are",
        "shape": [5, 6, 3],
        "dtype": "uint8",
    }
    assert summary["learning"]["updates"] > 20
    assert np.isfinite(summary["learning"]["loss"])


def test_statistics_are_learned_kept_and_used(capsys):
    far = SHORT | {"normalise_observations": True, "max_ticks": 400, "learning_rate": 3e-3, "epsilon_end": 0.1}
    summary = rtrl_jax.run(environment="far_worlds:Far", **far | {"display": "auto"}, run_dir="run")
    assert "sees 3 numbers, float32 as they are, then by running statistics" in capsys.readouterr().err
    own, updates = statistics_of("run"), summary["learning"]["updates"]
    assert own["count"].tolist() == [16 * updates]
    assert 4000 < own["mean"][0] < 4600
    assert own["mean"][1:] == pytest.approx([7, 0], abs=0.2)
    assert own["variance"][1] == pytest.approx(0, abs=1e-3)
    assert summary["learning"]["q"] < 100, "the network sees thousands"
    rtrl_jax.run(environment="far_worlds:Far", **far, run_dir="again")
    for kind in ("ticks", "decisions", "updates"):
        one, other = (np.load(pathlib.Path(run, f"{kind}.npz")) for run in ("run", "again"))
        assert all(one[name].tobytes() == other[name].tobytes() for name in one.files)


def test_without_learning_statistics_stand_still():
    far = SHORT | {"normalise_observations": True, "environment": "far_worlds:Far"}
    rtrl_jax.run(**far, learner_workers="0", run_dir="run")
    assert not any(leaf.any() for leaf in statistics_of("run").values())


def test_demonstrations_of_vectors_are_learned_from_with_the_same_statistics():
    from rtrl_jax.replay import demonstrations

    rng = np.random.default_rng(0)
    frames = np.stack([4000 + rng.normal(size=60), np.full(60, 7), rng.normal(size=60)], 1)
    demonstrations.write(pathlib.Path("shown.npz"), frames, rng.integers(3, size=60), rng.normal(size=60), np.zeros(60))
    far = SHORT | {"normalise_observations": True, "environment": "far_worlds:Far", "learn_start": 10_000}
    rtrl_jax.run(**far, demonstrations="shown.npz", pretrain_steps=5, run_dir="run")
    own = statistics_of("run")
    assert own["count"].tolist() == [80]
    assert own["mean"][0] == pytest.approx(4000, abs=1)


def test_an_evaluation_sees_as_the_run_did(tmp_path, monkeypatch):
    from rtrl_jax.evaluation.evaluate import evaluate
    from rtrl_jax.evaluation.settings import Evaluation

    far = SHORT | {"normalise_observations": True, "max_ticks": 600, "learning_rate": 1e-2, "epsilon_end": 0.1}
    rtrl_jax.run(environment="far_worlds:Far", **far, run_dir="run")
    summary = evaluate(Evaluation(checkpoint="run", episodes=1, max_ticks_per_episode=100, out="found", epsilon="0"))
    assert summary["rows"][0]["mean"] > 90, "with its statistics the network knows what it has learned"


def test_what_cannot_change_when_a_run_goes_on():
    far = SHORT | {"environment": "far_worlds:Far", "max_ticks": 40}
    rtrl_jax.run(**far, run_dir="run")
    for name, value in (("normalise_observations", True), ("observation", "vector")):
        with pytest.raises(UserError, match=f"--{name}={value}: the checkpoint"):
            rtrl_jax.resume("run", max_ticks=80, **{name: value})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"environment": "far_worlds:Old"}, "of the API that gym had before Gymnasium: wrap it with shimmy"),
        ({"environment": "far_worlds:OlderStep"}, "wrap it with shimmy"),
        ({"environment": "far_worlds:Before"}, "wrap it with shimmy"),
        ({"environment": "far_worlds:none"}, "no gymnasium.Env but of type object"),
        ({"environment": "far_worlds:Nothing"}, "nothing there of that name"),
        ({"environment": "far_worlds:leaves"}, r"far_worlds:leaves cannot be made: it calls sys.exit\(3\)"),
        ({"environment": "far_worlds:Far", "environment_kwargs": {"far": 1}}, "cannot be made with --environment_kw"),
        ({"environment": "Taxi-v4", "normalise_observations": True}, "is one-hot"),
        ({"environment": "far_worlds:Grid", "network": "nature"}, "36 rows and columns at least"),
        ({"environment": "far_worlds:Far", "image_size": "64"}, "--image_size is of images"),
        ({"environment": "far_worlds:Far", "image_size": "0x8"}, "rows and columns from 1 on"),
        ({"environment": "far_worlds:Far", "observation": "grey84"}, "takes pictures of bytes"),
        ({"environment": "far_worlds:Far", "input_scale": "unit"}, "is of pixels"),
    ],
)
def test_bad_input_is_one_line_before_anything_starts(given, says):
    with pytest.raises(UserError, match=says) as error:
        rtrl_jax.run(**SHORT | given, run_dir="run")
    assert "\n" not in str(error.value)
    assert not pathlib.Path("run").exists()


def test_observations_that_change_their_shape_end_the_run_by_name_and_all_is_saved():
    with pytest.raises(
        RuntimeError, match=r"an observation does not fit its own space: it has shape \(2,\), not \(3,\)"
    ):
        rtrl_jax.run(environment="far_worlds:Changes", **SHORT, run_dir="run")
    summary = json.loads(pathlib.Path("run", "summary.json").read_text())
    assert summary["ticks"] == len(np.load("run/ticks.npz")["tick"]) == 30
    assert len(summary["failures"]) == 1


def test_a_class_is_named_by_its_module():
    far_worlds = importlib.import_module("far_worlds")
    summary = rtrl_jax.run(environment=far_worlds.Far, **SHORT | {"max_ticks": 20}, run_dir="run")
    assert summary["environment"] == "far_worlds:Far"
    assert STATISTICS not in summary
