"""Runs in virtual time go on from any checkpoint, to the byte as if they had never stopped."""

import json
import math
import os
import pathlib
import shutil
import signal
import subprocess

import numpy as np
import pytest
from conftest import command, processes_with
from system.test_failures import wait_for

import rtrl_jax
from rtrl_jax import UserError
from rtrl_jax.board import layout
from rtrl_jax.checkpoints import store
from rtrl_jax.replay import demonstrations
from rtrl_jax.virtual_time import run as virtual_run
from rtrl_jax.workers import learner

RECORDS = ("ticks", "decisions", "updates")
TICKS, EVERY = 240, 47  # ticks of a run; between two checkpoints, which fall anywhere in what is under way
TESTS = pathlib.Path(__file__).parent.parent
POLE = {
    "environment": "gymnasium/saved_pole:SavedPole-v0",
    "rate_hz": 50,
    "clock": "virtual",
    "max_ticks": TICKS,
    "learn_start": 40,
    "learn_every": 4,
    "epsilon_steps": 60,
    "target_every": 20,
    "learning_rate": 1e-3,
    "seed": 3,
    "checkpoint_every_s": 1e-6,
    "checkpoint_keep": 1000,
    "display": "none",
    "trace_seconds": 0,
}
GAMMA = {"inference_latency_ms": "gamma:50,20+outlier:0.01,300"}  # 2.5 ticks, now and then 15
SLOW_LEARNING = {"learning_latency_ms": "gamma:70,20"}
FOUR = {"inference_workers": "4"}
CASES = {
    "ticket": POLE | GAMMA | SLOW_LEARNING | FOUR,
    "ticket, playout off": POLE | GAMMA | FOUR | {"playout": "off"},
    "ticket, too few workers": POLE | {"inference_latency_ms": "gamma:90,20", "inference_workers": "2"},
    "max_time": POLE | GAMMA | FOUR | {"stagger": "max_time"},
    "max_time, bounded": POLE | GAMMA | FOUR | {"stagger": "max_time", "stagger_quantile": 0.9},
    "max_time, preset": POLE | GAMMA | FOUR | {"stagger": "max_time", "tau_initial_ms": 80.0},
    "expected_time": POLE | GAMMA | FOUR | {"stagger": "expected_time"},
    "none": POLE | GAMMA | FOUR | {"stagger": "none"},
    "none, very late": POLE | FOUR | {"stagger": "none", "inference_latency_ms": "uniform:1500,3000"},
    "sequential": POLE | GAMMA | SLOW_LEARNING | {"interaction": "sequential"},
    "learn first": POLE | GAMMA | SLOW_LEARNING | {"interaction": "sequential_learn_first"},
    "sequential, scheduled": POLE | GAMMA | {"interaction": "sequential", "learning_schedule": "every:3"},
    "delay": POLE | {"delay": 3},
    "delay, sequential": POLE | {"delay": 3, "interaction": "sequential"},
    "delay, reference": POLE | {"delay": 3, "interaction": "sequential", "accounting": "reference"},
    "two learners": POLE | GAMMA | SLOW_LEARNING | {"learner_workers": "2", "inference_workers": "3"},
    "two learners, slow": POLE | {"learning_latency_ms": "gamma:190,50", "learner_workers": "2", "prioritised": True},
    "parallel learning": POLE | SLOW_LEARNING | {"learner_workers": "2", "learning": "parallel"},
    "no learning": POLE | GAMMA | {"learner_workers": "0", "inference_workers": "3", "epsilon_end": 0.3},
    "repeat, stacked, per tick": POLE
    | GAMMA
    | {
        "default_action": "repeat",
        "frame_stack": 3,
        "frame_stack_stride": 2,
        "discount_per": "tick",
        "inference_workers": "2",
    },
    "random": POLE | GAMMA | {"policy": "random", "inference_workers": "3"},
    "noop": POLE | {"policy": "noop", "delay": 2},
    "held": POLE | GAMMA | SLOW_LEARNING | FOUR | {"action_hold": 3},
    "held, sequential": POLE | {"action_hold": 3, "interaction": "sequential", "delay": 3},
    "history": POLE | GAMMA | FOUR | {"pending": "history"},
    "late": POLE | GAMMA | SLOW_LEARNING | {"inference_workers": "7", "pending": "late"},
    "late, none to play out": POLE
    | GAMMA
    | FOUR
    | {"pending": "late", "playout": "off", "pending_encoding": "recurrent"},
    "late, max_time": POLE | GAMMA | FOUR | {"pending": "late", "stagger": "max_time"},
    "late, sequential": POLE | GAMMA | SLOW_LEARNING | {"pending": "late", "interaction": "sequential"},
    "late rainbow": POLE | {"pending": "late", "agent": "rainbow", "delay": 4},
    "reflex": POLE | {"pending": "late", "reflex": True, "delay": 4, "frame_stack": 2},
    "n steps": POLE | {"delay": 2, "n_steps": 4},
    "rainbow": POLE | GAMMA | {"agent": "rainbow", "inference_workers": "3"},
    "statistics": POLE
    | GAMMA
    | SLOW_LEARNING
    | {"normalise_observations": True, "learner_workers": "2", "inference_workers": "7", "pending": "late"}
    | {"reflex": True},
    "measured": POLE | FOUR | {"inference_latency_ms": "measured", "learning_latency_ms": "measured"},
    "images": POLE | {"environment": "gameboy/duel-catching", "width": 1 / 16, "delay": 2, "rate_hz": None},
    "history of longer than is kept anyway": POLE
    | {
        "environment": "gameboy/duel-catching",
        "width": 1 / 16,
        "delay": 3,
        "rate_hz": None,
        "pending": "history",
        "pending_length": 150,
    },
    "vectors, late, two learners": POLE
    | GAMMA
    | SLOW_LEARNING
    | {
        "environment": "gymnasium/vector_worlds:SavedPendulum-v0",
        "pending": "late",
        "inference_workers": "5",
        "learner_workers": "2",
        "batch_size": 16,
        "width": 1 / 8,
        "target_every": None,
    },
    "choices": POLE | GAMMA | FOUR | {"environment": "gymnasium/vector_worlds:Locks-v0"},
    "images, bfloat16": POLE
    | {
        "environment": "gameboy/duel-catching",
        "width": 0.5,
        "delay": 2,
        "rate_hz": None,
        "inference_dtype": "bfloat16",
    },
}


@pytest.fixture(autouse=True)
def at_awkward_ticks(monkeypatch):
    monkeypatch.setattr(virtual_run, "LOOK_TICKS", EVERY)


def files(folder):
    """The records, to the byte, and the parameters at the end."""
    records = {kind: (folder / f"{kind}.npz").read_bytes() for kind in RECORDS}
    leaves = store.read_leaves(store.find(folder))
    return records, {part: [leaf.tobytes() for leaf in its] for part, its in leaves.items()}


def from_checkpoint(run, number, folder):
    """A copy of the run as if it had been killed after its checkpoint of that number."""
    shutil.copytree(run, folder)
    for checkpoint in store.whole(folder)[number:][1:]:
        shutil.rmtree(checkpoint)
    return folder


def assert_same(run, other):
    (records, state), (its_records, its_state) = files(run), files(other)
    for kind in RECORDS:
        if records[kind] != its_records[kind]:
            with np.load(run / f"{kind}.npz") as a, np.load(other / f"{kind}.npz") as b:
                rows = {name: np.arange(min(len(a[name]), len(b[name]))) for name in a.files}
                differing = {name: n[a[name][n] != b[name][n]][:1].tolist() for name, n in rows.items()}
                raise AssertionError(f"{kind}: rows that differ first: {differing}")
    assert state == its_state


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_to_the_byte(tmp_path, name):
    run = tmp_path / "run"
    rtrl_jax.run(**CASES[name], run_dir=str(run))
    assert len(store.whole(run)) > TICKS // EVERY
    again = from_checkpoint(run, 1 + list(CASES).index(name) % 4, tmp_path / "again")
    summary = rtrl_jax.resume(again)
    assert (summary["ticks"], summary["sessions"], summary["records_lost"]) == (TICKS, 1, 0)
    assert_same(run, again)


@pytest.mark.parametrize("stagger", ["max_time", "ticket"])
def test_it_goes_on_from_any_tick(tmp_path, monkeypatch, stagger):
    monkeypatch.setattr(virtual_run, "LOOK_TICKS", 1)
    settings = POLE | GAMMA | FOUR | {"stagger": stagger, "policy": "random", "max_ticks": 40}
    rtrl_jax.run(**settings, run_dir=str(tmp_path / "run"))
    count = len(store.whole(tmp_path / "run"))
    assert count > 15  # one is asked for at a tick and made at the next
    for number in range(0, count - 1, 2):  # the last is of the end
        again = from_checkpoint(tmp_path / "run", number, tmp_path / f"{number}")
        rtrl_jax.resume(again)
        assert_same(tmp_path / "run", again)


def test_a_replay_that_has_been_overwritten_comes_back_with_all_that_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_run, "LOOK_TICKS", 433)
    settings = POLE | {"delay": 2, "replay_capacity": 4096, "max_ticks": 4450, "learn_every": 40}
    rtrl_jax.run(**settings, prioritised=True, n_steps=3, run_dir=str(tmp_path / "run"))
    again = from_checkpoint(tmp_path / "run", -2, tmp_path / "again")
    assert 4330 < store.read_manifest(store.find(again))["tick"] < 4400
    rtrl_jax.resume(again)
    assert_same(tmp_path / "run", again)


@pytest.mark.parametrize("name", ["ticket", "two learners, slow", "sequential"])
def test_making_checkpoints_changes_nothing(tmp_path, name):
    for folder, every_s in (("with", 1e-6), ("without", 0.0)):
        rtrl_jax.run(**CASES[name] | {"checkpoint_every_s": every_s}, run_dir=str(tmp_path / folder))
    for kind in RECORDS:
        assert (tmp_path / "with" / f"{kind}.npz").read_bytes() == (tmp_path / "without" / f"{kind}.npz").read_bytes()


@pytest.mark.parametrize("name", ["ticket", "expected_time", "two learners, slow", "sequential", "delay, reference"])
def test_a_run_that_has_ended_goes_on_as_if_its_limit_had_always_been_higher(tmp_path, name):
    settings = CASES[name] | {"checkpoint_every_s": 1000.0}
    rtrl_jax.run(**settings | {"max_ticks": 121}, run_dir=str(tmp_path / "run"))
    with pytest.raises(UserError, match="raise it to go on"):
        rtrl_jax.resume(tmp_path / "run")
    rtrl_jax.resume(tmp_path / "run", max_ticks=TICKS)
    rtrl_jax.run(**settings, run_dir=str(tmp_path / "whole"))
    assert_same(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("name", ["two learners, slow", "sequential", "learn first"])
def test_a_run_that_diverges_leaves_what_was_before_and_goes_on_with_another_update(tmp_path, monkeypatch, name):
    """Once it is out of its numbers; another batch may be a better one."""
    check = learner._check
    monkeypatch.setattr(
        learner, "_check", lambda update, loss, *more: check(update, math.nan if update == 9 else loss, *more)
    )
    run, settings = tmp_path / "run", CASES[name] | {"checkpoint_every_s": 300.0}
    with pytest.raises(RuntimeError, match="the run diverged: update 9 was not made, since its loss is nan"):
        rtrl_jax.run(**settings, run_dir=str(run))
    summary = json.loads((run / "summary.json").read_text())
    assert summary["ended_by"].startswith("diverged: update 9")
    assert (summary["learning"]["updates"], len(summary["failures"])) == (8, 1)
    assert store.read_manifest(store.find(run))["tick"] == summary["ticks"] - 1 < TICKS - 1
    monkeypatch.undo()
    monkeypatch.syspath_prepend(str(TESTS))
    rtrl_jax.resume(run)
    ticks, updates = np.load(run / "ticks.npz"), np.load(run / "updates.npz")
    assert len(ticks["tick"]) == TICKS
    assert len(updates["applied_version"]) > 12
    assert sorted(updates["applied_version"]) == list(range(len(updates["applied_version"])))


def test_a_recorded_run_is_replayed_on_from_where_it_was(tmp_path):
    rtrl_jax.run(**CASES["two learners"] | {"checkpoint_every_s": 0.0}, run_dir=str(tmp_path / "recorded"))
    trace = f"trace:{tmp_path / 'recorded'}"
    settings = CASES["two learners"] | {"inference_latency_ms": trace, "learning_latency_ms": trace}
    rtrl_jax.run(**settings, run_dir=str(tmp_path / "run"))
    again = from_checkpoint(tmp_path / "run", 3, tmp_path / "again")
    rtrl_jax.resume(again)
    assert_same(tmp_path / "run", again)


def test_what_was_learned_from_demonstrations_is_not_learned_again(tmp_path, monkeypatch):
    for module in (layout, virtual_run):  # the ring holds fewer than are made before the run begins
        monkeypatch.setattr(module, "UPDATE_ROWS", 8)
    rng, length = np.random.default_rng(0), 80
    shown = (
        rng.integers(0, 255, (length, 84, 84, 1)),
        rng.integers(0, 6, length),
        rng.random(length),
        np.zeros(length),
    )
    demonstrations.write(tmp_path / "shown.npz", *shown)
    settings = CASES["images"] | {"max_ticks": 90, "demonstrations": str(tmp_path / "shown.npz"), "pretrain_steps": 20}
    summary = rtrl_jax.run(**settings, run_dir=str(tmp_path / "run"))
    assert summary["records_lost"] == 0
    again = from_checkpoint(tmp_path / "run", 1, tmp_path / "again")
    rtrl_jax.resume(again)
    assert_same(tmp_path / "run", again)


def test_a_world_that_cannot_be_saved_begins_a_new_episode_and_this_is_said(tmp_path, capsys):
    settings = CASES["ticket"] | {"environment": "gymnasium/CartPole-v1"}
    rtrl_jax.run(**settings, run_dir=str(tmp_path / "run"))
    again = from_checkpoint(tmp_path / "run", 3, tmp_path / "again")
    at = store.read_manifest(store.find(again))["tick"]
    summary = rtrl_jax.resume(again, display="auto")
    assert "not what an uninterrupted run would have done: its world cannot be saved" in capsys.readouterr().err
    assert (summary["ticks"], summary["sessions"]) == (TICKS, 2)
    with np.load(again / "ticks.npz") as ticks, np.load(again / "updates.npz") as updates:
        assert ticks["tick"].tolist() == list(range(TICKS))
        assert ticks["episode_start"][at + 1] == at + 1
        assert ticks["session"].tolist() == [0] * (at + 1) + [1] * (TICKS - at - 1)
        assert (np.diff(ticks["boundary_ns"]) == 20_000_000).all(), "virtual time stood still meanwhile"
        assert updates["applied_version"].tolist() == list(range(summary["learning"]["updates"]))


@pytest.mark.parametrize("name", ["delay", "ticket"])  # with updates that take no time, and with one under way
def test_without_its_replay_it_learns_anew_and_this_is_said(tmp_path, capsys, name):
    rtrl_jax.run(**CASES[name] | {"checkpoint_replay": False}, run_dir=str(tmp_path / "run"))
    again = from_checkpoint(tmp_path / "run", 2, tmp_path / "again")
    at = store.read_manifest(store.find(again))["tick"]
    summary = rtrl_jax.resume(again, display="auto")
    assert "its replay was not saved" in capsys.readouterr().err
    assert (summary["ticks"], summary["sessions"]) == (TICKS, 2)
    with np.load(again / "ticks.npz") as ticks, np.load(again / "updates.npz") as updates:
        since = (updates["start_ns"] - ticks["boundary_ns"][at]) // 20_000_000
    assert 5 < (since >= 0).sum() <= (TICKS - at - 40) // 4 + 1
    assert since[since > 0].min() >= 40


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"width": 2.0}, "--width=2.0: a run in virtual time goes on as it was"),
        ({"clock": "wall"}, "--clock=wall"),
        ({"inference_workers": "3"}, "with 4"),
        ({"checkpoint_replay": False}, "--checkpoint_replay=False"),
    ],
)
def test_only_its_limits_can_be_changed(tmp_path, given, says):
    rtrl_jax.run(**CASES["random"] | {"max_ticks": 40, "inference_workers": "4"}, run_dir=str(tmp_path / "run"))
    with pytest.raises(UserError, match=says):
        rtrl_jax.resume(tmp_path / "run", max_ticks=80, **given)


def test_killed_and_interrupted_at_any_moment_it_ends_with_the_same_bytes(launch, tmp_path):
    there = {**os.environ, "PYTHONPATH": str(TESTS)}
    settings = CASES["ticket"] | {"max_ticks": 6000, "checkpoint_every_s": 0.2, "checkpoint_keep": 3}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    run, whole = tmp_path / "run", tmp_path / "whole"
    before = 0
    for how, end in (([], signal.SIGKILL), (["--resume"], signal.SIGINT), (["--resume"], signal.SIGKILL)):
        given = [*(how or flags), f"--run_dir={run}"]
        process = subprocess.Popen(command(*given), env=there, stderr=subprocess.PIPE, text=True)
        wait_for(lambda before=before: (found := store.whole(run)) and int(found[-1].name) > before + 100, timeout=120)
        process.send_signal(end)
        _, said = process.communicate(timeout=60)
        assert process.returncode == (0 if end == signal.SIGINT else -signal.SIGKILL), said
        wait_for(lambda: not processes_with(str(run)))
        before = int(store.whole(run)[-1].name)
        assert before < 5999, "it had ended"
    assert launch("--resume", f"--run_dir={run}", env=there).returncode == 0
    assert launch(*flags, f"--run_dir={whole}", env=there).returncode == 0
    assert_same(run, whole)
