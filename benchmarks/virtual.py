"""Measures virtual time: what its loops cost, and training with a delay beside a straightforward loop in PyTorch.

python benchmarks/virtual.py                        all of it, into results/virtual.md and .json
python benchmarks/virtual.py --only=workers         one part
The PyTorch side needs an environment of its own, .bench-venv, which this makes if it is not there (2 GB).
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import gymnasium
import numpy as np
import pytorch_environment
from absl import flags

import rtrl_jax
from rtrl_jax import environments
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.telemetry.files import write_json, write_text
from rtrl_jax.telemetry.summary import machine, versions

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPEATS = flags.DEFINE_integer("repeats", 3, "times each part is measured; the two sides of a ratio take turns")
ONLY = flags.DEFINE_list("only", [], "parts to measure: workers, trivial, training, training_1m")
STEPS, FIRST, SETTLED = (
    4000,
    500,
    100,
)  # of training, those before it begins to learn, and the next ones, which are not counted

GOALS = {  # name: (unit, goal)
    "600 workers, 1 h of play, no network": ("s", "< 30"),
    "steps a second without a network, Boxing, delay 8": ("/s", ""),
    "the bare environment": ("/s", ""),
    "the same as a share": ("%", ">= 60"),
    "training, k = 1/16, Boxing, delay 8": ("steps/s", ""),
    "the same in a plain PyTorch loop, k = 1/16": ("steps/s", ""),
    "ratio, k = 1/16": ("x", ">= 3"),
    "training, k = 1, Boxing, delay 8": ("steps/s", ""),
    "the same in a plain PyTorch loop, k = 1": ("steps/s", ""),
    "ratio, k = 1": ("x", ""),
}


class Still(gymnasium.Env):
    """A world in which nothing happens."""

    metadata = {"render_fps": 60}  # noqa: RUF012
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32), gymnasium.spaces.Discrete(2)
    _seen = np.zeros(1, np.float32)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen, {}

    def step(self, action):
        return self._seen, 0.0, False, False, {}


def play(**settings) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        return rtrl_jax.run(**settings, display="none", checkpoint_every_s=0.0, run_dir=f"{folder}/run")


def workers() -> dict[str, float]:
    summary = play(environment="gymnasium/Still-v0", delay=600, policy="noop", duration_s=3600.0)
    if summary["delay"]["mean"] != 600 or summary["ticks"] < 216_000:
        raise RuntimeError(f"that was no hour of 600 workers: {summary}")
    return {"600 workers, 1 h of play, no network": summary["seconds"]}


def trivial(ticks: int = 12_000) -> dict[str, float]:
    game = environments.make("atari/Boxing")
    game.reset(0)
    actions = np.random.default_rng(0).integers(game.spec.actions, size=ticks).tolist()
    began = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated = game.step(action)
        if terminated or truncated:
            game.reset()
    bare = ticks / (time.perf_counter() - began)
    game.close()
    summary = play(environment="atari/Boxing", delay=8, policy="random", max_ticks=ticks)
    ours = summary["ticks"] / summary["seconds"]
    return {
        "steps a second without a network, Boxing, delay 8": ours,
        "the bare environment": bare,
        "the same as a share": 100 * ours / bare,
    }


def training(width: float = 1 / 16, name: str = "k = 1/16", steps: int = STEPS) -> dict[str, float]:
    """Steps a second while it learns: the time of a shorter run, with its start and its compiling, is taken off."""
    pytorch_environment.make()
    common = {"environment": "atari/Boxing", "delay": 8, "width": width, "epsilon_start": 0.05, "epsilon_end": 0.05}
    learning = {"learn_start": FIRST, "learn_every": 4}
    before = play(**common, **learning, max_ticks=FIRST + SETTLED)
    whole = play(**common, **learning, max_ticks=steps)
    ours = (steps - FIRST - SETTLED) / (whole["seconds"] - before["seconds"])
    command = [
        str(pytorch_environment.PYTHON),
        str(ROOT / "benchmarks" / "virtual_pytorch.py"),
        f"--k={width}",
        f"--steps={steps}",
    ]
    theirs = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {
        f"training, {name}, Boxing, delay 8": ours,
        f"the same in a plain PyTorch loop, {name}": theirs,
        f"ratio, {name}": ours / theirs,
    }


def training_1m() -> dict[str, float]:
    return training(1.0, "k = 1", FIRST + 400)


PARTS = {"workers": workers, "trivial": trivial, "training": training, "training_1m": training_1m}


def main() -> None:
    gymnasium.register("Still-v0", Still)
    parts = ONLY.value or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        raise UserError(f"--only={unknown.pop()}: there are {', '.join(PARTS)}")
    found: dict[str, list[float]] = {}
    for part in parts:
        for repeat in range(REPEATS.value):
            print(f"{part}, {repeat + 1} of {REPEATS.value} …", file=sys.stderr, flush=True)
            for name, value in PARTS[part]().items():
                found.setdefault(name, []).append(value)
    rows = [
        {"name": name, "median": float(np.median(values)), "least": min(values), "most": max(values)}
        | {"unit": GOALS[name][0], "goal": GOALS[name][1], "command": " ".join(["python", *sys.argv])}
        for name, values in found.items()
    ]
    report = {"machine": machine(), "versions": versions(), "repeats": REPEATS.value, "rows": rows}
    (ROOT / "results").mkdir(exist_ok=True)
    write_json(ROOT / "results" / "virtual.json", report)
    write_text(ROOT / "results" / "virtual.md", as_table(report))
    print(as_table(report))


def as_table(report: dict) -> str:
    lines = [
        "# Virtual time on this machine",
        "",
        "`python benchmarks/virtual.py`; median (range) of the repeats; the two sides of a ratio in turn, one core each.",
        f"Machine: {report['machine']['processor']}, {report['machine']['cores']} cores, "
        f"{report['machine']['memory_gib']} GiB. Python {report['versions']['python']}, jax {report['versions']['jax']}, "
        "torch 2.13.0.",
        "",
        "| figure | measured | goal |",
        "|---|---|---|",
    ]
    for row in report["rows"]:
        spread = f"{row['median']:.4g} ({row['least']:.4g} – {row['most']:.4g}) {row['unit']}"
        lines.append(f"| {row['name']} | {spread} | {row['goal']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(run_command(main))
