"""The public interface from a user's own script, with an environment of the user's own: the example in the README."""

import json
import os
import pathlib
import re
import subprocess
import sys

from conftest import ROOT


def test_the_readme_s_example_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    environment = next(block for block in blocks if "gymnasium.register" in block)
    script = next(block for block in blocks if "rtrl_jax.run" in block)
    (tmp_path / "thermostat.py").write_text(environment)
    (tmp_path / "main.py").write_text(script + "\nimport json; json.dump(summary, open('out.json', 'w'))\n")
    assert len(script.strip().splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out.json").read_text())
    assert summary["environment"].startswith("gymnasium/thermostat:")
    assert summary["ticks"] > 100
    assert pathlib.Path(tmp_path, summary["run_dir"], "ticks.npz").exists()


def test_an_unknown_setting_is_a_user_error():
    import pytest

    import rtrl_jax

    with pytest.raises(rtrl_jax.UserError, match="no setting is called 'enviroment'"):
        rtrl_jax.run(enviroment="atari/Boxing")


def test_python_s_own_paths_lists_and_numbers_do(tmp_path):
    import numpy as np

    import rtrl_jax

    core = max(os.sched_getaffinity(0))
    summary = rtrl_jax.run(
        environment="gymnasium/CartPole-v1",
        clock="virtual",
        max_ticks=np.int64(40),
        learner_workers=0,
        cores=[core],
        run_dir=tmp_path / "run",
        display="none",
    )
    assert summary["ticks"] == 40
    assert f"--cores={core}\n" in (tmp_path / "run" / "flags.txt").read_text()
