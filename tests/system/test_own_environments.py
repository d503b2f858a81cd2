"""Environments of the user's own that do not behave, in real runs."""

import json

import numpy as np
import pytest

from rtrl_jax.checkpoints import load_policy, store

OWN = """
import gymnasium
import numpy as np

class Own(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    metadata = {"render_modes": [], "render_fps": 50}

    def reset(self, seed=None, options=None):
        self.steps = self.seen = np.int64(0)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        self.seen = np.int64(self.steps)
        bad = self.steps % 2 == 0
        return np.array([np.nan if bad else 1, 2], np.float32), np.nan if bad else 1.0, False, False, {}

    def restore(self, saved):
        self.steps = int(saved["seen"])

SAVE

gymnasium.register("Own-v0", entry_point=Own)
"""
FLAGS = ["--environment=gymnasium/own:Own-v0", "--checkpoint_every_s=0.5", "--learner_workers=0", "--epsilon_end=1"]


def play(launch, folder, save, *flags):
    (folder / "own.py").write_text(OWN.replace("SAVE", save))
    done = launch(*FLAGS, *flags, "--run_dir=run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "run" / "ticks.npz"), json.loads((folder / "run" / "summary.json").read_text())


@pytest.mark.parametrize(
    ("save", "episodes"),
    [
        ("    def save(self): return {'seen': self.seen}", 1),
        ("    def save(self): return {'seen': {self.seen}}", 2),
        ("    def save(self, path): pass", 2),
    ],
    ids=["a numpy number", "a set", "another signature"],
)
def test_what_cannot_be_saved_ends_no_run_and_begins_a_new_episode_when_resumed(launch, tmp_path, save, episodes):
    ticks, summary = play(launch, tmp_path, save, "--max_ticks=60")
    assert (len(ticks["tick"]), summary["failures"]) == (60, [])
    ticks, summary = play(launch, tmp_path, save, "--resume", "--max_ticks=90")
    assert (len(ticks["tick"]), summary["failures"]) == (90, [])
    assert len(set(ticks["episode"].tolist())) == episodes


def test_rewards_that_are_no_numbers_are_recorded_as_0(launch, tmp_path):
    ticks, _ = play(launch, tmp_path, "", "--max_ticks=60", "--clock=virtual")
    assert set(ticks["reward"].tolist()) == {0.0, 1.0}


def test_by_its_factory_with_running_statistics_learned_by_several_in_real_time(launch, tmp_path):
    """Each version's statistics are those of as many batches: no worker and no checkpoint has seen one torn."""
    (tmp_path / "own.py").write_text(
        OWN.replace("SAVE", "    def save(self): return {'seen': self.seen}") + "def make(scale): return Own()\n"
    )
    flags = ["--environment=own:make", '--environment_kwargs={"scale": 3}', "--normalise_observations", "--run_dir=run"]
    learning = [
        "--learner_workers=2",
        "--learn_start=30",
        "--learn_every=2",
        "--width=0.25",
        "--checkpoint_every_s=0.5",
    ]
    done = launch(*flags, *learning, "--inference_workers=2", "--max_ticks=200", "--checkpoint_keep=100", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sees 2 numbers, float32 scaled by their bounds to −1 … 1, then by running statistics" in done.stderr
    done = launch("--resume", "--run_dir=run", "--max_ticks=260", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    kept = store.whole(tmp_path / "run")
    assert len(kept) > 2
    for checkpoint in kept:
        count, mean, variance = load_policy(checkpoint).leaves[-3:]
        updates = store.read_manifest(checkpoint)["updates"]
        assert count.tolist() == [16 * updates]
        if updates:  # its second number is 2, of −9 … 9, and 0 after the reset: so mean and variance say the same
            assert variance[1] == pytest.approx(mean[1] * (2 / 9 - mean[1]), abs=1e-6)
            twos = mean[1] / (2 / 9) * count[0]
            assert twos == pytest.approx(round(float(twos)), abs=0.02)
    assert updates > 50
