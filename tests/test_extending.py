"""The recipes of docs/extending.md, followed to the letter on a copy of the package, and run.

A block of a recipe stands behind `<!-- recipe: file -->`: a new file, or a change of one as the lines that it takes away and
puts there. Behind `<!-- recipe: run -->` stands a command.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

BLOCK = re.compile(r"<!-- (\w+): (\S+) -->\n```(\w*)\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "docs" / "extending.md").read_text())
BUILDS_ON = {"flag": "agent"}


def follow(recipe: str, folder: Path) -> str:
    """Makes the recipe's changes in a copy of the project, and returns its command."""
    if recipe in BUILDS_ON:
        follow(BUILDS_ON[recipe], folder)
    command = None
    for name, place, language, text in BLOCKS:
        if name != recipe:
            continue
        if place == "run":
            command = text.strip()
        elif language == "diff":
            change(folder / place, text)
        else:
            assert not (folder / place).exists(), f"{place} is there already"
            (folder / place).write_text(text)
    return command


def change(path: Path, text: str) -> None:
    """Args: text: hunks, each behind a line @@ if there are several."""
    whole = path.read_text()
    for hunk in re.split(r"^@@\n", text, flags=re.MULTILINE):
        lines = hunk.splitlines()
        before = "\n".join(line[1:] for line in lines if line[:1] in ("-", " ", ""))
        after = "\n".join(line[1:] for line in lines if line[:1] in ("+", " ", ""))
        if lines:
            assert whole.count(before) == 1, f"{path.name} has this {whole.count(before)} times, not once:\n{before}"
            whole = whole.replace(before, after)
    path.write_text(whole)


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Follows a recipe and runs it; returns (summary, the run's folder)."""

    def played(recipe: str) -> tuple[dict, Path]:
        folder = tmp_path_factory.mktemp(recipe)
        shutil.copy(ROOT / "pyproject.toml", folder)
        for part in ("rtrl_jax", "launch"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        words = shlex.split(follow(recipe, folder))
        assert words[0] == "python"
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        options = {"cwd": folder, "env": environment, "capture_output": True, "text": True, "timeout": 180}
        done = subprocess.run([sys.executable, *words[1:]], **options)
        assert done.returncode == 0, done.stderr
        run = folder / next(word for word in words if word.startswith("--run_dir=")).partition("=")[2]
        for check in (["check"], ["format", "--check"]):
            style = subprocess.run([sys.executable, "-m", "ruff", *check, "rtrl_jax"], **options)
            assert style.returncode == 0, style.stdout
        return json.loads((run / "summary.json").read_text()), run

    return played


def losses(run: Path) -> np.ndarray:
    with np.load(run / "updates.npz") as updates:
        return updates["loss"]


def test_a_new_agent_and_a_flag_for_it(play):
    summary, run = play("agent")
    assert summary["learning"]["agent"] == "advantage"
    assert summary["learning"]["updates"] > 50
    with_flag, other_run = play("flag")
    assert "--gap=0.5" in (other_run / "flags.txt").read_text()
    assert with_flag["learning"]["updates"] == summary["learning"]["updates"]
    assert np.isfinite(losses(run)).all()
    assert not np.array_equal(losses(run), losses(other_run))


def test_a_new_stagger_algorithm(play):
    summary, _ = play("stagger")
    assert summary["inference"]["stagger"] == "deviations"
    assert summary["inference"]["workers"] == 4
    assert 4 <= summary["delay"]["mean"] <= 5
    assert summary["inaction"] < 0.4


def test_a_new_environment(play):
    summary, run = play("environment")
    assert summary["environment"] == "pursuit/line"
    assert summary["episodes"]["count"] == 1
    assert summary["delay"]["mean"] == 2
    with np.load(run / "ticks.npz") as ticks:
        assert ticks["reward"].sum() < 0


def test_a_new_column_of_the_board(play):
    summary, run = play("field")
    with np.load(run / "ticks.npz") as ticks:
        assert len(ticks["step_ns"]) == summary["ticks"]
        assert (ticks["step_ns"] > 0).all()


def test_every_recipe_is_followed_here():
    assert {name for name, *_ in BLOCKS} == {"agent", "environment", "stagger", "flag", "field"}
