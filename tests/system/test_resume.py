"""Checkpoints of real runs: killed at any moment, gone on with, and what is refused."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import command, processes_with
from system.test_failures import wait_for

import rtrl_jax
from rtrl_jax import checkpoints
from rtrl_jax.checkpoints import store
from rtrl_jax.telemetry.tail import KINDS

FLAGS = ["--rate_hz=60", "--learn_start=20", "--learn_every=2", "--checkpoint_every_s=0.5"]
CARTPOLE = ["--environment=gymnasium/CartPole-v1", *FLAGS]
DUEL = ["--environment=gameboy/duel-battles", "--width=0.0625", *FLAGS]


def start(*flags):
    return subprocess.Popen(command(*flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed(folder, *flags, checkpoints=2):
    """A run whose processes were all killed at once, some checkpoints in."""
    process = start(*flags, "--duration_s=120", f"--run_dir={folder}")
    wait_for(lambda: len(store.whole(folder)) >= checkpoints, timeout=60)
    process.kill()
    process.communicate()
    wait_for(lambda: not processes_with(str(folder)))
    return folder


def resume(launch, folder, *flags):
    done = launch("--resume", f"--run_dir={folder}", *flags)
    return done, json.loads((folder / "summary.json").read_text()) if done.returncode == 0 else None


@pytest.mark.parametrize("flags", [DUEL, CARTPOLE], ids=["duel", "cartpole"])
def test_a_killed_run_goes_on_from_its_last_checkpoint(launch, tmp_path, flags):
    folder = killed(tmp_path / "run", *flags)
    newest = store.whole(folder)[-1]
    manifest = store.read_manifest(newest)
    played = manifest["tick"] / 60
    done, summary = resume(launch, folder, f"--duration_s={played + 3}")
    assert done.returncode == 0, done.stderr
    assert f"going on at tick {manifest['tick'] + 1} with {manifest['updates']} updates made" in done.stderr
    ticks, updates = np.load(folder / "ticks.npz"), np.load(folder / "updates.npz")
    assert ticks["tick"].tolist() == list(range(summary["ticks"]))
    assert set(ticks["session"].tolist()) == {0, 1}
    assert ticks["tick"][ticks["session"] == 1][0] == manifest["tick"] + 1
    assert summary["ticks"] / 60 == pytest.approx(played + 3, abs=0.2)
    assert updates["applied_version"].tolist() == list(range(len(updates["applied_version"])))
    assert len(updates["applied_version"]) > manifest["updates"], "it does not learn any more"
    assert (np.diff(ticks["episode"]) >= 0).all()
    assert summary["sessions"] == 2
    policy = checkpoints.load_policy(folder)
    assert policy.manifest["tick"] == summary["ticks"] - 1
    if flags is DUEL:  # the emulator went on where it was: no reset between the sessions
        at = manifest["tick"]
        assert ticks["episode"][at] == ticks["episode"][at + 1]
        assert ticks["attempts"][at] == ticks["attempts"][at + 1]


def test_the_game_goes_on_exactly_where_it_was(tmp_path):
    """Without an agent nothing but the game moves: its frames are those of a run that was never interrupted."""
    quiet = dict(learner_workers="0", default_action_index=0, epsilon_end=1.0, display="none", inference_workers="1")
    game = dict(environment="atari/Boxing", playout="8000", width=0.0625, **quiet)  # no decision ever acts
    folder = tmp_path / "run"
    rtrl_jax.run(**game, max_ticks=100, checkpoint_every_s=100.0, run_dir=str(folder))
    rtrl_jax.resume(str(folder), max_ticks=200)
    whole = tmp_path / "whole"
    rtrl_jax.run(**game, max_ticks=200, checkpoint_every_s=100.0, run_dir=str(whole))
    frames = []
    for run in (folder, whole):
        assert store.read_manifest(store.find(run))["tick"] == 199
        frames.append(store.read_arrays(store.find(run))["latest_frames"])
        assert len(frames[-1]) == 200  # as decisions may be held for longer
    np.testing.assert_array_equal(*frames)
    assert len(np.unique(frames[0][100:], axis=0)) > 1, "the picture should move"


def test_a_run_without_its_replay_refills_before_it_learns(launch, tmp_path):
    folder = killed(tmp_path / "run", *CARTPOLE, "--checkpoint_replay=false")
    manifest = store.read_manifest(store.whole(folder)[-1])
    done, _ = resume(launch, folder, f"--duration_s={manifest['tick'] / 60 + 5}", "--learn_start=200")
    assert done.returncode == 0, done.stderr
    ticks, updates = np.load(folder / "ticks.npz"), np.load(folder / "updates.npz")
    resumed_at = ticks["boundary_ns"][ticks["session"] == 1][0]
    first = updates["start_ns"][updates["applied_version"] == manifest["updates"]][0]
    # The last 64 frames are always there: what the next observation is stacked on.
    assert (first - resumed_at) / 1e9 * 60 > 200 - 64 - 5, "it learned before it had refilled"


def test_a_finished_run_goes_on_if_its_limit_is_raised_and_says_so_if_not(launch, tmp_path):
    folder = tmp_path / "run"
    assert launch(*CARTPOLE, "--max_ticks=100", f"--run_dir={folder}").returncode == 0
    done, _ = resume(launch, folder)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--max_ticks" in done.stderr
    done, summary = resume(launch, folder, "--max_ticks=150")
    assert done.returncode == 0, done.stderr
    assert summary["ticks"] == 150
    assert summary["measured_rate_hz"] == pytest.approx(60, abs=0.5), "the pause between the sessions was counted"
    assert len(store.whole(folder)) <= 3


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("past") / "run"
    rtrl_jax.run(
        environment="gymnasium/CartPole-v1",
        rate_hz=60,
        max_ticks=60,
        learn_start=10,
        display="none",
        run_dir=str(folder),
    )
    return folder


def damage_manifest(checkpoint):
    (checkpoint / "manifest.json").write_text("{")


def truncate_state(checkpoint):
    os.truncate(checkpoint / store.STATE, (checkpoint / store.STATE).stat().st_size - 1)


def flip_a_byte(checkpoint):
    path = checkpoint / "arrays.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate_replay(checkpoint):
    path = next((checkpoint.parent / "replay").iterdir())
    os.truncate(path, path.stat().st_size // 2)


def remove_state(checkpoint):
    (checkpoint / store.STATE).unlink()


@pytest.mark.parametrize("harm", [damage_manifest, truncate_state, flip_a_byte, truncate_replay, remove_state])
def test_a_damaged_checkpoint_is_one_line_and_nothing_is_changed(launch, tmp_path, a_run, harm):
    folder = tmp_path / "run"
    shutil.copytree(a_run, folder)
    harm(store.whole(folder)[-1])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done, _ = resume(launch, folder, "--max_ticks=100")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "damaged" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--environment=gymnasium/Acrobot-v1"], "--environment"),
        (["--width=2"], "another network"),
        (["--dueling"], "another network"),
        (["--frame_stack=2"], "--frame_stack"),
        (["--frame_stack_stride=2"], "--frame_stack"),
        (["--batch_size=0"], "between 1 and 65536"),
    ],
)
def test_a_checkpoint_of_another_network_or_game_is_refused(launch, a_run, flags, says):
    done, _ = resume(launch, a_run, "--max_ticks=100", *flags)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr


def test_what_is_no_run_is_refused(launch, tmp_path):
    for folder in (tmp_path / "nothing", tmp_path):
        done = launch("--resume", f"--run_dir={folder}")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert launch("--resume").returncode == 2


def test_a_folder_in_use_is_refused(launch, tmp_path):
    folder = tmp_path / "run"
    process = start(*CARTPOLE, "--duration_s=60", f"--run_dir={folder}")
    wait_for(lambda: store.whole(folder), timeout=60)
    done, _ = resume(launch, folder, "--duration_s=90")
    assert done.returncode == 2
    assert "still going on" in done.stderr
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_killed_again_and_again_nothing_is_lost_beyond_the_last_checkpoint(tmp_path):
    """The benchmark does this 20 times; here is a taste of it."""
    folder = killed(tmp_path / "run", *CARTPOLE, checkpoints=1)
    rng = np.random.default_rng(0)
    for _ in range(2):
        last = store.read_manifest(store.whole(folder)[-1])
        process = start("--resume", f"--run_dir={folder}", "--duration_s=600")
        wait_for(lambda last=last: store.whole(folder)[-1].name > f"{last['tick']:012d}", timeout=60)
        time.sleep(rng.uniform(0, 0.7))
        process.kill()
        process.communicate()
        wait_for(lambda: not processes_with(str(folder)))
        manifest = store.read_manifest(store.whole(folder)[-1])
        assert manifest["tick"] > last["tick"]
        assert manifest["session"] == last["session"] + 1
        assert manifest["updates"] >= last["updates"]


@pytest.mark.parametrize("stagger", ["max_time", "expected_time", "ticket"])
def test_staggering_goes_on_from_its_estimate(launch, tmp_path, stagger):
    folder = tmp_path / "run"
    flags = [
        "--environment=gymnasium/CartPole-v1",
        "--rate_hz=60",
        "--emulated_inference_ms=60",
        f"--stagger={stagger}",
    ]
    flags += ["--inference_workers=4", "--workers_per_process=4", "--learner_workers=0", "--epsilon_end=0"]
    assert launch(*flags, "--max_ticks=150", f"--run_dir={folder}").returncode == 0
    done, _ = resume(launch, folder, "--max_ticks=300")
    assert done.returncode == 0, done.stderr
    ticks = np.load(folder / "ticks.npz")
    anew = ticks["is_default"][ticks["session"] == 1]
    # It takes a delay until the first answer. What had been announced in an hour must not be waited for again.
    assert (~anew).any()
    assert np.argmax(~anew) <= 12
    assert anew[12:].mean() < 0.8  # Algorithms 1 and 2 lose some of it to jitter on a busy machine


def test_a_session_without_learners_plays_what_was_learned_and_keeps_it(tmp_path):
    folder = tmp_path / "run"
    play = dict(environment="gymnasium/CartPole-v1", rate_hz=60, learn_start=10, learn_every=1, display="none")
    rtrl_jax.run(**play, max_ticks=90, run_dir=str(folder))
    learned = checkpoints.load_policy(folder)
    assert learned.manifest["updates"] > 20
    state = store.read_leaves(store.find(folder))["optimiser"]
    rtrl_jax.resume(str(folder), learner_workers="0", max_ticks=120)
    between = checkpoints.load_policy(folder)
    assert between.manifest["updates"] == learned.manifest["updates"]
    for before, after in zip(learned.leaves, between.leaves, strict=True):
        np.testing.assert_array_equal(before, after)
    for before, after in zip(state, store.read_leaves(store.find(folder))["optimiser"], strict=True):
        np.testing.assert_array_equal(before, after)
    rtrl_jax.resume(str(folder), learner_workers="1", max_ticks=180)
    ticks, updates = np.load(folder / "ticks.npz"), np.load(folder / "updates.npz")
    assert updates["applied_version"].tolist() == list(range(len(updates["applied_version"])))
    again = updates["end_ns"] > ticks["boundary_ns"][ticks["session"] == 2][0]
    assert 30 < again.sum() <= 61, "it made up for the time without learners"


@pytest.mark.parametrize("kind", ["ticks", "decisions", "updates"])
def test_after_a_power_cut_it_goes_on_from_the_checkpoint_that_the_records_reach(launch, tmp_path, kind):
    """Records are written before a checkpoint is, but nothing promises that what came after it reached the disk."""
    folder = killed(tmp_path / "run", *CARTPOLE, checkpoints=3)
    before, newest = store.whole(folder)[-2:]
    manifest = store.read_manifest(before)
    raw, dtype = folder / f"{kind}.raw", KINDS[kind]
    rows = np.fromfile(raw, dtype, count=raw.stat().st_size // dtype.itemsize)
    reached = {
        "ticks": lambda: rows["tick"] <= manifest["tick"],
        "decisions": lambda: rows["apply_tick"] <= manifest["tick"],
        "updates": lambda: rows["applied_version"] < manifest["updates"],
    }[kind]()
    os.truncate(raw, (int(np.flatnonzero(reached)[-1]) + 1) * dtype.itemsize + 3)
    done, summary = resume(launch, folder, f"--duration_s={manifest['tick'] / 60 + 3}")
    assert done.returncode == 0, done.stderr
    assert "the records end before 1 newer checkpoint" in done.stderr
    assert f"going on at tick {manifest['tick'] + 1}" in done.stderr
    ticks = np.load(folder / "ticks.npz")["tick"]
    assert ticks.tolist() == list(range(summary["ticks"]))
    assert newest not in store.whole(folder) or store.read_manifest(newest)["session"] == 1


def test_records_that_are_gone_are_one_line(launch, a_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(a_run, folder)
    (folder / "ticks.npz").unlink()
    done, _ = resume(launch, folder, "--max_ticks=100")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "records" in done.stderr
