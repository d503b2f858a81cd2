"""The laboratory as a whole: it learns, its table and picture, the command line, and the results that are kept."""

import csv
import json
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT

from rtrl_jax.laboratory import learn, semi_mdp, study
from rtrl_jax.laboratory.worlds import WORLDS


def test_a_ring_holds_the_most_recent_and_nothing_that_is_no_transition():
    world = WORLDS["chain"]
    nothing = jnp.zeros(world.features, jnp.int8)
    replay = learn.empty_replay(world, 3)
    assert (learn.sample(replay, jax.random.key(0), 4).weight == 0).all()
    for number in range(10):
        transition = semi_mdp.Transition(nothing, jnp.int32(number), jnp.float32(number), jnp.float32(0.9), nothing)
        replay = learn.append(replay, jnp.bool_(number % 2 == 0), transition)
    batch = learn.sample(replay, jax.random.key(1), 200)
    assert set(np.asarray(batch.action).tolist()) == {4, 6, 8}
    assert (batch.weight == 1).all()


def test_it_learns_catch_at_delay_1_and_both_interactions_are_the_same_there():
    settings = learn.Settings(steps=10_000, evaluation=3000)
    rows = [row for arm in ("async", "sequential") for row in study.run("catch", arm, [1], 2, settings)]
    for row in rows:
        assert row.mean_return > 2.5 > 1.5 > row.random_return
        assert (row.delay, row.inaction) == (1.0, pytest.approx(1 / 151, abs=0.002))
    returns = np.array([row.mean_return for row in rows])
    np.testing.assert_array_equal(returns[:2], returns[2:])  # seed by seed, number for number
    assert rows[0].mean_return != rows[1].mean_return


def row(interaction, inference, seed, value):
    return study.Measured("catch", interaction, inference, seed, value, 1.0, 0.5, 2.0)


def test_who_is_ahead_is_said_only_where_the_intervals_are_apart():
    rows = [row("async", d, seed, 5 + d + 0.1 * seed) for d in (1, 2, 4) for seed in range(5)]
    rows += [row("sequential", d, seed, 10 - d + 0.1 * seed) for d in (1, 2, 4) for seed in range(5)]
    rows += [row("async", 8, seed, 3.0 + seed) for seed in range(5)]
    rows += [row("sequential", 8, seed, 3.5 + seed) for seed in range(5)]
    table = study.summarise(rows)
    assert len(table) == 8
    assert study.ahead(table, "catch") == {"async": [4], "sequential": [1, 2]}
    alone = study.summarise([row("async", 2, 0, 1.0), row("sequential", 2, 0, 2.0)])
    assert study.ahead(alone, "catch") == {"async": [], "sequential": []}
    with_oracle = [*rows, *(row("oracle", d, seed, 99.0 + 0.1 * seed) for d in (1, 2, 4, 8) for seed in range(5))]
    assert study.ahead(study.summarise(with_oracle), "catch") == {"async": [4], "sequential": [1, 2]}
    assert alone[0]["low"] is None


def launch(*flags):
    command = [sys.executable, str(ROOT / "launch" / "laboratory.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def test_the_command_line(tmp_path):
    out = tmp_path / "new"
    done = launch("--environment=chain", "--delays=2,120", "--spread=0.3", "--seeds=2", "--steps=2000", f"--out={out}")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "laboratory.csv",
        "laboratory.json",
        "laboratory.png",
        "laboratory.svg",
        "runs.csv",
    ]
    table = json.loads((out / "laboratory.json").read_text())["table"]
    assert [(item["interaction"], item["inference_ticks"]) for item in table] == [
        (interaction, ticks) for interaction in ("async", "sequential") for ticks in (2, 120)
    ]
    assert [item["delay"] for item in table][::2] == [3.0, pytest.approx(2.5, abs=0.6)]
    never = table[1]  # an episode is over before inference is
    assert (never["mean_return"], never["inaction"], never["delay"]) == (0.0, 1.0, None)
    assert "95 % interval" in done.stdout
    assert len(list(csv.DictReader((out / "runs.csv").open()))) == 8


def test_a_study_that_was_cut_off_goes_on(tmp_path):
    flags = ["--environment=chain", "--delays=2", "--seeds=2", "--steps=2000"]
    assert launch(*flags, f"--out={tmp_path / 'whole'}").returncode == 0
    whole = (tmp_path / "whole" / "runs.csv").read_text()
    arms = [f"--out={tmp_path / 'cut'}", *flags]
    process = subprocess.Popen([sys.executable, str(ROOT / "launch" / "laboratory.py"), *arms], stdout=subprocess.PIPE)
    process.stdout.readline()  # the first arm is done
    for _ in range(1000):
        kept = json.loads((tmp_path / "cut" / "study.json").read_text())
        if kept["rows"]:
            break
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert len(kept["rows"]) == 2
    other = launch(*flags, "--workers=one", f"--out={tmp_path / 'cut'}")
    assert (other.returncode, "other circumstances" in other.stderr) == (2, True)
    done = launch(*arms)
    assert done.returncode == 0, done.stderr
    assert "going on with" in done.stdout
    assert (tmp_path / "cut" / "runs.csv").read_text() == whole


def test_a_game_of_minatar_is_learned_and_a_late_head_is_told_in_it():
    settings = learn.Settings(steps=2000, evaluation=500)
    (row,) = study.run("minatar-breakout", "late", [3], 1, settings)
    assert row.delay == 3.0
    assert row.random_return >= 0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--out=FOLDER"),
        (["--out={}/new", "--delays=0,1"], "--delays=0,1"),
        (["--out={}/new", "--delays=2,2"], "different"),
        (["--out={}/new", "--environment=pong"], "catch, breakout, chain"),
        (["--out={}/new", "--arms=async,async"], "each once"),
        (["--out={}/new", "--arms=early"], "async, sequential, history, late"),
        (["--out={}/new", "--spread=0.5", "--cv=0.5"], "give one"),
        (["--out={}/new", "--encoding=letters"], "--encoding"),
        (["--out={}/new", "--seeds=0"], "--seeds"),
        (["--out={}"], "already holds"),
    ],
)
def test_bad_input(tmp_path, flags, says):
    (tmp_path / "file").write_text("precious")
    done = launch(*(flag.format(tmp_path) for flag in flags))
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_in_the_chain_that_was_kept_learning_came_close_to_the_best_there_is():
    with open(ROOT / "results" / "laboratory" / "laboratory.csv") as file:
        kept = [item for item in csv.DictReader(file) if item["environment"] == "chain"]
    assert len(kept) == 10
    for item in kept:
        ticks, value = int(item["inference_ticks"]), float(item["mean_return"])
        best = WORLDS["chain"].best(ticks, item["interaction"] == "sequential")
        assert float(item["best_return"]) == pytest.approx(best, rel=1e-4)
        assert (0.97 * best if ticks <= 4 else 0) < value < 1.02 * best
