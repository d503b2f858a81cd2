"""launch/plan.py as a user runs it: the plan it prints and writes, that its command runs, and what it says to bad input."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT


def plan(*flags, **environment):
    command = [sys.executable, str(ROOT / "launch" / "plan.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**ENVIRONMENT, **environment})


ENVIRONMENT = {**os.environ, "COLUMNS": "100"}


def test_measured_and_then_run(launch, tmp_path):
    done = plan("--environment=gymnasium/CartPole-v1", "--rate_hz=60", f"--out={tmp_path}/plan.json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert max(map(len, done.stdout.split("\nTo run it")[0].splitlines())) <= 100
    made = json.loads((tmp_path / "plan.json").read_text())
    assert made["tau_theta"]["how"] == made["tau_l"]["how"] == "measured"
    assert made["tau_theta"]["samples"] >= 64
    assert 0 < made["tau_theta"]["p50_ms"] < made["tau_theta"]["max_ms"]
    assert set(made["ways"]) == {"sequential", "max_time", "expected_time", "ticket"}
    memory = made["ways"]["ticket"]["given_cores"]["memory"]
    assert memory["inference_processes"] > 1 << 20
    assert memory["total"] > 1 << 28
    command = next(line for line in done.stdout.splitlines() if line.startswith("python launch/run.py"))
    assert command == made["command"]
    ran = launch(*shlex.split(command)[2:], "--duration_s=3", f"--run_dir={tmp_path}/run")
    assert ran.returncode == 0, ran.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["inference"]["workers"] == made["ways"]["ticket"]["given_cores"]["inference_workers"]
    assert summary["ticks"] > 150


def test_boxing_on_many_cores(tmp_path):
    flags = ["--environment=atari/Boxing", "--width=0.0625", "--cores=64", "--update_ms=400", "--learn_every=5"]
    done = plan(*flags, "--display=none", f"--out={tmp_path}/plan.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    made = json.loads((tmp_path / "plan.json").read_text())
    assert made["network"]["parameters"] == 60_334
    assert (made["tau_theta"]["how"], made["tau_l"]["how"]) == ("measured", "taken")
    ticket = made["ways"]["ticket"]["given_cores"]
    assert ticket["learners"] == 5  # 400 ms is 24 ticks
    assert ticket["updates_per_s"] == 12
    assert "--width=0.0625 --inference_workers=" in made["command"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--environment=atari/Boxin"], "did you mean Boxing"),
        (["--environment=gameboy/tetris"], "import_game"),
        (["--inference_ms=slow"], "--inference_ms=slow: give"),
        (["--remeasure"], "--remeasure belongs to --layers"),
        (["--layers", "--display=none", "--out=plan.json"], "--layers prints a table"),
        (["--layers", "--network=nature"], "--network=nature computes as Flax does"),
        (["--layers", "--environment=gymnasium/CartPole-v1"], "--network=mlp computes as Flax does"),
        (["--inference_dtype=bfloat16", "--network=nature"], "leave it at float32"),
        (["--inference_dtype=int8", "--network=nature"], "leave it at float32"),
    ],
)
def test_bad_input_is_one_line_and_status_2(flags, says):
    done = plan(*flags)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_file_is_not_overwritten(tmp_path):
    (tmp_path / "plan.json").write_text("precious")
    done = plan("--environment=gymnasium/CartPole-v1", f"--out={tmp_path}/plan.json")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "plan.json").read_text() == "precious"


def test_layers_are_measured_once_and_kept(tmp_path):
    flags, cache = ["--environment=gameboy/duel-battles", "--width=0.3125", "--batch_size=1", "--layers"], str(tmp_path)
    first = plan(*flags, RTRL_CACHE=cache)
    assert first.returncode == 0, first.stderr
    assert "40x40x5" in first.stdout
    (kept,) = (tmp_path / "plans").iterdir()
    before = kept.read_text()
    again = plan(*flags, RTRL_CACHE=cache)
    assert again.stdout == first.stdout
    assert kept.read_text() == before
    anew = plan(*flags, "--remeasure", RTRL_CACHE=cache)
    assert anew.returncode == 0
    assert kept.read_text() != before
