"""A script that registers an environment of its own: refused where its processes would not know it, with what to do."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

LIBRARY = """
import gymnasium

class Still(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(0, 1, (2,)), gymnasium.spaces.Discrete(2)
    metadata = {"render_modes": [], "render_fps": 50}
    def reset(self, seed=None, options=None): return self.observation_space.low, {}
    def step(self, action): return self.observation_space.low, 0.0, False, False, {}

gymnasium.register("Still-v0", entry_point=Still)
"""
CHECK = """
import sys
from rtrl_jax import UserError, environments
from rtrl_jax.environments import fresh
for name in sys.argv[1:]:
    environments.make(name).close()
    try:
        fresh.check(name)
        print("known")
    except UserError as error:
        print(error)
"""


@pytest.fixture
def check(tmp_path):
    """What is said of environments in a script that begins with `before`."""

    def run(before, *names):
        (tmp_path / "library.py").write_text(LIBRARY)
        (tmp_path / "script.py").write_text(before + CHECK)
        command = [sys.executable, str(tmp_path / "script.py"), *names]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_a_class_in_the_script_itself(check):
    for said in check(LIBRARY, "gymnasium/Still-v0", "gymnasium/Still", "gymnasium/__main__:Still-v0"):
        assert "is known to this script alone" in said
        assert "into a module of their own, and write gymnasium/<module>:Still" in said


def test_a_module_that_the_script_has_imported(check):
    (said,) = check("import library\n", "gymnasium/Still-v0")
    assert "such as gymnasium/library:Still-v0" in said


def test_what_every_process_knows(check):
    names = [
        "gymnasium/library:Still-v0",
        "gymnasium/CartPole-v1",
        "gymnasium/CartPole",
        "toy/chain-0.9",
        "atari/Boxing",
    ]
    assert check("", *names) == ["known"] * len(names)
