"""Worlds that misbehave: one ends its process, one is too slow, one is frozen with all around it, one lies beside a random.py."""

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import command, processes_with
from system.test_failures import finish, wait_for

WORLD = """
import sys, time, gymnasium, numpy as np
class World(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(2)
    ticks = 0
    def reset(self, seed=None, options=None):
        return np.zeros(2, np.float32), {{}}
    def step(self, action):
        self.ticks += 1
        {step}
        return np.zeros(2, np.float32), 1.0, False, False, {{}}
gymnasium.register("World-v0", entry_point=World)
"""


@pytest.fixture
def play(launch, tmp_path):
    """Plays a world whose step does this first; returns (finished process, summary or None)."""

    def run(step, *flags):
        (tmp_path / "world.py").write_text(WORLD.format(step=step))
        folder = tmp_path / "run"
        flags = ("--environment=gymnasium/world:World-v0", "--rate_hz=60", "--learn_start=20", *flags)
        done = launch(*flags, f"--run_dir={folder}", env={**os.environ, "PYTHONPATH": str(tmp_path)})
        summary = folder / "summary.json"
        return done, json.loads(summary.read_text()) if summary.exists() else None

    return run


def test_a_world_that_ends_its_process_is_a_failure_with_everything_saved(play):
    done, summary = play("sys.exit() if self.ticks > 40 else None", "--duration_s=20")
    assert done.returncode == 1
    assert "environment ended by itself (exit status 0) before the run was over" in done.stderr
    assert summary["ticks"] in (40, 41)
    assert summary["failures"][0]["process"] == "environment"


def test_a_world_too_slow_for_its_rate_is_named_and_leaves_room_for_learning(play):
    slowly = "end = time.perf_counter() + 0.025\n        while time.perf_counter() < end: pass"
    done, summary = play(slowly, "--duration_s=6")
    assert done.returncode == 0, done.stderr
    assert "warning: this world takes 2" in done.stderr
    assert "ms a tick of 16.7" in done.stderr
    assert summary["learning"]["updates"] > 0
    assert summary["slipped_ticks"] > 0
    assert done.stderr.count("warning: this world takes") == 1


def test_a_world_that_gives_no_numbers_is_a_warning_and_the_rest_goes_on(play):
    nothing = "if self.ticks % 10 == 0: return np.full(2, np.nan, np.float32), float('nan'), False, False, {}"
    done, summary = play(nothing, "--duration_s=3")
    assert done.returncode == 0, done.stderr
    assert "that are no finite numbers; 0 takes their place" in done.stderr
    assert summary["not_finite"]["rewards"] > 5
    assert np.isfinite(summary["episodes"]["return_unfinished"])


def test_nobody_is_taken_for_hung_when_everybody_was_frozen(tmp_path):
    folder = tmp_path / "run"
    flags = ["--environment=gymnasium/CartPole-v1", "--rate_hz=60", "--learn_start=20", "--hang_timeout_s=1"]
    process = subprocess.Popen(
        command(*flags, "--duration_s=9", f"--run_dir={folder}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: (folder / "ticks.raw").exists() and (folder / "ticks.raw").stat().st_size > 0)
        frozen = processes_with(str(folder))
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for pid in frozen:
                os.kill(pid, number)
            time.sleep(4 if number == signal.SIGSTOP else 0)
        finish(process, folder)
    finally:
        process.kill()
    assert process.returncode == 0
    assert json.loads((folder / "summary.json").read_text())["failures"] == []


def test_a_folder_of_the_user_s_may_hold_files_named_like_python_s_own(launch, tmp_path):
    for name in ("random", "types", "signal", "json"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')\n")
    flags = ["--environment=gymnasium/CartPole-v1", "--rate_hz=60", "--duration_s=1", "--learner_workers=0"]
    done = launch(*flags, f"--run_dir={tmp_path / 'run'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
