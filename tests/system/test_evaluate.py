"""launch/evaluate.py as a user runs it: what it writes, how it is interrupted, and what it says to bad input."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from evaluation.worlds import write_checkpoint

CARTPOLE = "--environments=gymnasium/CartPole-v1"


def command(*flags):
    return [sys.executable, str(ROOT / "launch" / "evaluate.py"), *flags]


def evaluate(*flags):
    return subprocess.run(command(*flags), capture_output=True, text=True, timeout=120)


def results(folder):
    with open(folder / "episodes.csv") as file:
        return json.loads((folder / "summary.json").read_text()), list(csv.DictReader(file))


def children(process) -> list[int]:
    return [int(pid) for pid in pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_a_checkpoint(tmp_path):
    checkpoint, out = write_checkpoint(tmp_path / "it", "gymnasium/CartPole-v1"), tmp_path / "out"
    flags = [f"--checkpoint={checkpoint}", "--episodes=5", "--seeds=0,2", "--delay=3", "--inaction=sequential"]
    done = evaluate(*flags, f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "not as in the run: --delay=3 (the run's delay is not known), --inaction=sequential (the run: async)\n"
    )
    assert "bound by " in done.stdout
    assert "gymnasium/CartPole-v1" in done.stdout
    assert str(out) in done.stdout
    summary, lines = results(out)
    assert summary["complete"]
    assert [(line["seed"], line["number"]) for line in lines] == [(s, str(n)) for s in "02" for n in range(5)]
    (row,) = summary["rows"]
    returns = [float(line["episode_return"]) for line in lines]
    assert row["mean"] == pytest.approx(sum(returns) / 10)
    assert (row["episodes"], row["delay"]) == (10, 3)
    assert row["inaction"] == pytest.approx(2 / 3, abs=0.1)
    assert summary["checkpoint"]["tick"] == 1000
    assert summary["machine"]["cores"]


def test_the_rate_is_the_run_s_and_another_is_said(tmp_path):
    run = {"frame_stack": 1, "rate_hz": 25.0, "playout": "2"}
    checkpoint = write_checkpoint(tmp_path / "it", "gymnasium/CartPole-v1", settings=run)
    for flags, rate, delay, said in (
        ([], 25, 2, ""),
        (
            ["--rate_hz=50"],
            50,
            3,
            "not as in the run: --inference_ms=58.0 (the run's delay is 2), --rate_hz=50.0 (the run gave 25.0)\n",
        ),
    ):
        out = tmp_path / f"{rate}"
        done = evaluate(f"--checkpoint={checkpoint}", "--episodes=2", "--inference_ms=58", f"--out={out}", *flags)
        assert done.returncode == 0, done.stderr
        assert done.stderr == said
        (row,) = results(out)[0]["rows"]
        assert (row["rate_hz"], row["delay"]) == (rate, delay)


def test_an_agent_is_evaluated_at_the_delay_it_learned_with(tmp_path):
    run = {"delay": 4, "interaction": "sequential", "default_action": "repeat", "epsilon_end": 1.0}
    checkpoint = write_checkpoint(tmp_path / "it", "toy/chain-0.9", settings=run)
    for flags, epsilon in (([], 0.0), (["--epsilon=run"], 1.0)):
        out = tmp_path / f"{epsilon}"
        asked = ["--episodes=2", "--max_ticks_per_episode=400", f"--out={out}", *flags]
        done = evaluate(f"--checkpoint={checkpoint}", *asked)
        assert (done.returncode, done.stderr) == (0, "")
        (row,) = results(out)[0]["rows"]
        assert (row["delay"], row["interaction"], row["default_action"]) == (4, "sequential", "repeat")
        assert (row["inaction"], row["epsilon"]) == (0.75, epsilon)


OWN = """
import gymnasium

class Own(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)
    def __init__(self, length=3): self.length = length
    def reset(self, seed=None, options=None):
        self.left = self.length
        return self.observation_space.low, {}
    def step(self, action):
        self.left -= 1
        return self.observation_space.low, float("nan") if self.left == 1 else 1.0, self.left == 0, False, {}

gymnasium.register("Own-v0", entry_point=Own)
"""


def test_a_world_of_one_s_own_without_a_rate_and_with_keywords(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    flags = ["--policy=random", "--environments=gymnasium/own:Own-v0", "--episodes=2", "--rate_hz=5"]
    done = subprocess.run(
        command(*flags, '--environment_kwargs={"length": 7}', "--out=out"),
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "warning: 2 rewards or observations of gymnasium/own:Own-v0 were NaN or infinite: 0 was put in their place\n"
    )
    lines = results(tmp_path / "out")[1]
    assert [(line["ticks"], line["episode_return"], line["not_finite"]) for line in lines] == [("7", "6.0", "1")] * 2


def test_a_class_of_the_script_that_evaluates_is_refused_before_anything_is_written(tmp_path):
    evaluates = """
from rtrl_jax import UserError
from rtrl_jax.evaluation.evaluate import evaluate
from rtrl_jax.evaluation.settings import Evaluation
try:
    evaluate(Evaluation(policy="random", environments="gymnasium/Own-v0", rate_hz=5.0, episodes=1, out="out"))
except UserError as error:
    print(error)
"""
    (tmp_path / "script.py").write_text(OWN + evaluates)
    done = subprocess.run(
        [sys.executable, "script.py"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "known to this script alone" in done.stdout
    assert not (tmp_path / "out").exists()


def test_atari_baselines(tmp_path):
    flags = ["--environments=atari/Boxing,atari/Krull", "--max_ticks_per_episode=200", "--episodes=2"]
    done = evaluate(*flags, "--policy=random", "--action_every=4", f"--out={tmp_path}/random")
    assert done.returncode == 0, done.stderr
    summary, lines = results(tmp_path / "random")
    assert [line["ticks"] for line in lines] == ["200"] * 4
    assert [row["inaction"] for row in summary["rows"]] == [0, 0]
    assert summary["together"]["mean"] == pytest.approx(sum(row["human_normalised"] for row in summary["rows"]) / 2)
    done = evaluate(*flags, "--policy=noop", f"--out={tmp_path}/noop")
    assert done.returncode == 0, done.stderr
    assert [row["inaction"] for row in results(tmp_path / "noop")[0]["rows"]] == [1, 1]


def test_open_loop_controls(tmp_path):
    flags = ["--environments=gameboy/duel-catching", "--max_ticks_per_episode=40", "--episodes=2"]
    done = evaluate(*flags, "--policy=controls", f"--out={tmp_path}/all")
    assert done.returncode == 0, done.stderr
    summary, lines = results(tmp_path / "all")
    assert len(summary["rows"]) == 4
    assert {row["delay"] for row in summary["rows"]} == {1, None}
    assert len(lines) == 8
    best = summary["rows"][0]
    assert f"to beat in gameboy/duel-catching: {best['policy']}, {best['action_every']} tick(s)" in done.stdout
    with open(tmp_path / "all" / "controls.csv") as file:
        tried = [(row["policy"], row["action_every"]) for row in csv.DictReader(file) if row["round"] == "round 1"]
    assert len(set(tried)) == 36
    against = f"--against={tmp_path}/all/controls.csv"
    done = evaluate(*flags, against, "--policy=alternate:A,LEFT", "--action_every=4", f"--out={tmp_path}/one")
    assert done.returncode == 0, done.stderr
    assert f"does not beat the best control, {best['policy']}" in done.stdout
    assert [verdict["beats"] for verdict in results(tmp_path / "one")[0]["judgement"]] == [False]
    assert {(line["policy"], line["ticks"]) for line in results(tmp_path / "one")[1]} == {("alternate:A,LEFT", "40")}


def begun(*flags):
    """Starts an evaluation that would take hours, and waits until its first process is there."""
    process = subprocess.Popen(command(*flags), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not children(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


def wait_until_gone(pids):
    deadline = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        assert time.monotonic() < deadline, "a worker outlives its parent"
        time.sleep(0.05)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path, how):
    process = begun("--policy=random", CARTPOLE, "--episodes=1000000", f"--out={tmp_path}/out")
    time.sleep(2)
    workers = children(process)
    process.send_signal(how)
    _, errors = process.communicate(timeout=90)  # the intervals of what was played take their time
    assert process.returncode == 1
    assert "ended early" in errors
    assert "Traceback" not in errors
    summary, lines = results(tmp_path / "out")
    assert not summary["complete"]
    assert summary["rows"][0]["episodes"] == len(lines) > 0
    assert workers
    wait_until_gone(workers)


def test_workers_die_with_the_command(tmp_path):
    process = begun("--policy=random", CARTPOLE, "--episodes=1000000", f"--out={tmp_path}/out")
    time.sleep(1)
    workers = children(process)
    process.kill()
    process.communicate(timeout=10)
    assert workers
    wait_until_gone(workers)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([CARTPOLE], "--checkpoint=RUN"),
        ([CARTPOLE, "--checkpoint=/no/such/run"], "/no/such/run"),
        (["--policy=random", "--environments=atari/Boxin"], "did you mean Boxing"),
        (["--policy=random", "--environments="], "no environment"),
        (["--policy=best"], "policy"),
        (["--policy=random", CARTPOLE, "--delay=2", "--inference_ms=30"], "give one"),
        (["--policy=random", CARTPOLE, "--delay=soon"], "delay"),
        (["--policy=random", CARTPOLE, "--cores=4711"], "no core 4711"),
        (["--policy=random", CARTPOLE, "extra"], "is not a flag"),
        (["--policy=constant:SELECT", "--environments=gameboy/stacks"], "gameboy/stacks has no action SELECT"),
        (["--policy=alternate:0,2", CARTPOLE], "has no action 2 (it has 2, numbered from 0)"),
    ],
)
def test_bad_input(tmp_path, flags, says):
    done = evaluate(*flags, f"--out={tmp_path}/out")
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_game(tmp_path):
    checkpoint = write_checkpoint(tmp_path / "it", "gymnasium/CartPole-v1")
    done = evaluate(f"--checkpoint={checkpoint}", "--environments=gymnasium/Acrobot-v1", f"--out={tmp_path}/out")
    assert done.returncode == 2
    assert "has 3" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_results_are_not_written_over(tmp_path):
    (tmp_path / "summary.json").write_text("precious")
    done = evaluate("--policy=random", CARTPOLE, f"--out={tmp_path}")
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert "already holds" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    assert (tmp_path / "summary.json").read_text() == "precious"
