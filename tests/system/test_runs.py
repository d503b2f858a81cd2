"""Real runs of a few seconds for every interaction and stagger mode, each analysed from its files alone."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, processes_with
from telemetry.test_trace import check as check_trace

import rtrl_jax
from rtrl_jax.core import assembly

MODES = {
    "ticket": [],
    "ticket with playout off": ["--playout=off"],
    "ticket with two workers": ["--inference_workers=2", "--emulated_inference_ms=25", "--epsilon_start=0.2"],
    "algorithm 1": ["--stagger=max_time"],
    "algorithm 1 from a known estimate": ["--stagger=max_time", "--tau_initial_ms=5", "--inference_workers=2"],
    "algorithm 1 bounded": ["--stagger=max_time", "--stagger_quantile=0.99", "--tau_initial_ms=5"],
    "algorithm 2": ["--stagger=expected_time", "--inference_workers=2"],
    "no staggering": ["--stagger=none"],
    "sequential": ["--interaction=sequential"],
    "sequential, learning first": ["--interaction=sequential_learn_first"],
    "repeat": ["--default_action=repeat"],
    "acting only": ["--learner_workers=0"],
    "vectors": ["--environment=gymnasium/Pendulum-v1", "--rate_hz=50", "--width=0.125"],
}
FAST = ["--environment=gymnasium/CartPole-v1", "--duration_s=3", "--learn_start=20", "--epsilon_steps=20"]


def check(folder):
    """Recomputes the summary's figures from the arrays, and checks the arrays against each other."""
    summary = json.loads((folder / "summary.json").read_text())
    ticks, decisions, updates = (np.load(folder / f"{name}.npz") for name in ("ticks", "decisions", "updates"))
    acted = np.flatnonzero(~ticks["is_default"])
    delay = acted - ticks["obs_tick"][acted]
    nominal = ticks["boundary_ns"] - ticks["lateness_ns"]

    with gzip.open(folder / "trace.json.gz") as file:
        trace = json.load(file)
    check_trace(trace)
    assert trace["otherData"]["ticks"] == summary["ticks"]
    assert trace["otherData"]["decisions"] == len(decisions["worker"])

    assert summary["failures"] == []
    assert summary["records_lost"] == 0
    assert summary["ticks"] == len(ticks["action"])
    assert summary["inaction"] == pytest.approx(ticks["is_default"].mean())
    span_s = (ticks["boundary_ns"][-1] - ticks["boundary_ns"][0]) / 1e9
    assert summary["measured_rate_hz"] == pytest.approx((len(nominal) - 1) / span_s)
    assert summary["slipped_ticks"] == ticks["slipped"].sum()
    assert summary["lateness_ms"]["p99"] == pytest.approx(np.percentile(ticks["lateness_ns"], 99) / 1e6)
    assert summary["delay"]["mean"] == pytest.approx(delay.mean())
    assert summary["delay"]["p99"] == pytest.approx(np.percentile(delay, 99))
    assert summary["interaction_ticks"]["mean"] == pytest.approx(np.diff(acted).mean())
    assert summary["interaction_ticks"]["std"] == pytest.approx(np.diff(acted).std())
    assert summary["late_ticks"] == (ticks["lateness_ns"] > 500_000).sum()
    assert summary["lateness_ms"]["p50"] == pytest.approx(np.median(ticks["lateness_ns"]) / 1e6)
    assert (ticks["tick"] == np.arange(len(acted) + ticks["is_default"].sum())).all()

    assert (ticks["decisions"] == (~ticks["is_default"]).cumsum()).all()

    # The clock: absolute deadlines, one τ_M apart, but for ticks that slipped.
    steps = np.diff(nominal) * summary["rate_hz"] / 1e9
    assert np.allclose(steps, 1 + ticks["slipped"][:-1], atol=0.01)
    assert (ticks["lateness_ns"] >= 0).all()

    # Decisions: what was applied is what acted, from where and when it says.
    status = decisions["status"]
    for name, code in (("applied", 0), ("overwritten", 1), ("stale", 2)):
        assert summary["inference"][name] == (status == code).sum()
    applied = {name: decisions[name][status == 0] for name in ("apply_tick", "obs_tick", "action", "worker", "end_ns")}
    order = np.argsort(applied["apply_tick"])
    assert (applied["apply_tick"][order] == acted).all()
    for name in ("obs_tick", "action", "worker"):
        assert (applied[name][order] == ticks[name][acted]).all()
    assert (delay >= 1).all()
    assert (ticks["obs_tick"][acted] >= ticks["episode_start"][acted]).all()
    assert (np.diff(ticks["obs_tick"][acted]) >= 0).all()
    assert (applied["end_ns"][order] <= ticks["published_ns"][acted]).all()
    assert (decisions["start_ns"] >= ticks["published_ns"][decisions["obs_tick"]]).all()
    assert (decisions["apply_tick"][status != 0] == -1).all()
    tau = (decisions["end_ns"] - decisions["start_ns"]) / 1e6
    assert summary["inference"]["tau_mean_ms"] == pytest.approx(tau.mean())
    assert summary["inference"]["tau_max_ms"] == pytest.approx(tau.max())
    assert summary["inference"]["tau_p99_ms"] == pytest.approx(np.percentile(tau, 99))

    # Learning: one learner applies each update to the version it came from, and versions have no gap.
    assert summary["learning"]["updates"] == len(updates["loss"])
    assert (updates["gradient_version"] == np.arange(len(updates["loss"]))).all()
    assert (updates["applied_version"] == updates["gradient_version"]).all()
    assert np.isfinite(updates["loss"]).all()
    assert decisions["version"].max() <= len(updates["loss"])

    finished = ticks["terminated"] | ticks["truncated"]
    returns = [ticks["reward"][ticks["episode"] == e].sum() for e in range(finished.sum())]
    assert summary["episodes"]["count"] == len(returns)
    if returns:
        assert summary["episodes"]["return_mean"] == pytest.approx(np.mean(returns))
        assert summary["episodes"]["return_last"] == pytest.approx(returns[-1])
    if len(updates["loss"]) > 1:
        rate = (len(updates["loss"]) - 1) / (updates["end_ns"][-1] - updates["end_ns"][0]) * 1e9
        assert summary["learning"]["updates_per_s"] == pytest.approx(rate)
    assert list(folder.glob("events.*"))
    return summary, ticks, decisions, updates


@pytest.mark.parametrize("mode", MODES)
def test_every_mode(launch, tmp_path, mode):
    folder = tmp_path / "run"
    done = launch(*FAST, *MODES[mode], f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stdout
    summary, ticks, decisions, _ = check(folder)
    assert summary["ticks"] == pytest.approx(3 * 50, abs=15)
    assert (summary["learning"]["updates"] > 5) == ("acting" not in mode)
    assert decisions["greedy"].any()
    if "acting" not in mode:
        assert decisions["version"].max() > 5, "inference never saw an update"
    if "sequential" not in mode and "two workers" not in mode:
        assert summary["delay"]["p50"] == 1
        assert summary["inaction"] < 0.3  # a tick for each reset, and a busy machine
    if mode == "repeat":
        again = np.flatnonzero(ticks["is_default"][1:] & ~ticks["is_default"][:-1]) + 1
        same_episode = again[ticks["episode"][again] == ticks["episode"][again - 1]]
        assert (ticks["action"][same_episode] == ticks["action"][same_episode - 1]).all()


def test_atari_with_the_paper_s_network(launch, tmp_path):
    folder = tmp_path / "run"
    flags = [
        "--environment=atari/Boxing",
        "--parameters=1M",
        "--max_ticks=300",
        "--learn_start=40",
        "--frame_stack=2",
        "--frame_stack_stride=4",
    ]
    done = launch(*flags, "--epsilon_steps=5", "--learning_rate=0.0001", f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    summary, _, decisions, _ = check(folder)
    assert summary["ticks"] == 300
    assert summary["rate_hz"] == 60
    assert summary["parameters"] == pytest.approx(0.91e6, rel=0.01)
    assert summary["inaction"] < 0.2
    assert decisions["greedy"].mean() > 0.2


@pytest.mark.parametrize("game", ["duel-battles", "duel-catching", "stacks"])
def test_a_free_game_boy_game_in_real_time(launch, tmp_path, game):
    folder = tmp_path / "run"
    flags = [f"--environment=gameboy/{game}", "--parameters=55K", "--duration_s=5", "--learn_start=40"]
    done = launch(*flags, f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    summary, ticks, _, _ = check(folder)
    assert summary["rate_hz"] == 59.7275
    assert summary["ticks"] == pytest.approx(5 * 59.7275, abs=15)
    for name in ("encounter", "wins", "losses", "attempts"):
        assert summary["progress"][name] == ticks[name][-1]
    assert summary["progress"]["attempts"] == ticks["episode"][-1] + 1
    assert (ticks["action"][ticks["is_default"]] == 6).all()
    assert set(ticks["action"][~ticks["is_default"]]) <= set(range(6))


def test_staggered_emulated_workers_in_one_process_act_at_every_tick(launch, tmp_path):
    """Twelve workers of 170 ms at 60 Hz: 10.2 ticks, so delay 11, and each tick has an action."""
    folder = tmp_path / "run"
    done = launch(
        "--environment=gymnasium/MountainCar-v0",  # episodes of 200 steps
        "--rate_hz=60",
        "--duration_s=8",
        "--learner_workers=0",
        "--epsilon_start=0",
        "--epsilon_end=0",
        "--inference_workers=12",
        "--workers_per_process=12",
        "--emulated_inference_ms=170",
        "--playout=11",
        f"--run_dir={folder}",
    )
    assert done.returncode == 0, done.stderr
    summary, ticks, _, _ = check(folder)
    assert summary["inference"]["emulated"] == "170"
    acted = np.flatnonzero(~ticks["is_default"])
    assert (acted - ticks["obs_tick"][acted] == 11).mean() > 0.9
    # After a reset eleven ticks pass before a decision from the new episode can act.
    settled = np.arange(len(ticks["action"])) - ticks["episode_start"] > 11
    assert ticks["is_default"][settled].mean() < 0.1


def test_auto_takes_as_many_workers_as_the_measured_time_needs(launch, tmp_path):
    folder = tmp_path / "run"
    flags = ["--inference_workers=auto", "--emulated_inference_ms=70", "--workers_per_process=9", "--epsilon_start=0"]
    done = launch(*FAST, *flags, "--epsilon_end=0", f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    assert check(folder)[0]["inference"]["workers"] == 4  # 70 ms at 50 Hz are 3.5 ticks


def test_a_run_is_repeated_by_its_flagfile(launch, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    flags = [*FAST, "--seed=7", "--max_episodes=2", "--stagger=none", "--gamma=0.9"]
    assert launch(*flags, f"--run_dir={first}").returncode == 0
    done = launch(f"--flagfile={first}/flags.txt", f"--run_dir={second}")
    assert done.returncode == 0, done.stderr

    def without_folder(path):
        return [line for line in path.read_text().splitlines() if "run_dir" not in line]

    assert without_folder(first / "flags.txt") == without_folder(second / "flags.txt")


def test_the_seed_decides_what_is_explored(launch, tmp_path):
    explored = {}
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        done = launch(*FAST, "--learner_workers=0", "--epsilon_end=1", f"--seed={seed}", f"--run_dir={tmp_path / name}")
        assert done.returncode == 0, done.stderr
        explored[name] = np.load(tmp_path / name / "decisions.npz")["action"][:60].tolist()
    assert explored["one"] == explored["again"]
    assert explored["one"] != explored["other"]


def test_learning_from_a_demonstration_first(launch, tmp_path):
    demonstration, folder = tmp_path / "stacks.npz", tmp_path / "run"
    record = [sys.executable, str(ROOT / "launch" / "demonstrate.py"), "--frames=1200", f"--out={demonstration}"]
    subprocess.run(record, check=True, capture_output=True)
    flags = ["--environment=gameboy/stacks", "--parameters=55K", "--duration_s=4", "--pretrain_steps=25"]
    done = launch(*flags, "--learn_every=60", f"--demonstrations={demonstration}", f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    _, ticks, decisions, updates = check(folder)
    before = updates["end_ns"] < ticks["boundary_ns"][0]
    assert before.sum() == 25
    assert 1 <= (~before).sum() <= 7  # then one a second, as the schedule has it
    assert decisions["version"].min() == 25


def test_rainbow_learns_in_turn_with_two_learners_and_goes_on(launch, tmp_path):
    folder = tmp_path / "run"
    flags = [
        "--environment=gymnasium/CartPole-v1",
        "--rate_hz=50",
        "--learn_start=20",
        "--learn_every=2",
        "--batch_size=8",
    ]
    done = launch(*flags, "--agent=rainbow", "--learner_workers=2", "--max_ticks=200", f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    _, ticks, decisions, updates = check(folder)
    assert set(updates["learner"].tolist()) == {0, 1}
    assert np.isfinite(updates["loss"]).all()
    assert decisions["greedy"].all(), "noise explores, not ε"
    assert len(set(ticks["action"].tolist())) == 2
    before = len(updates["loss"])
    done = launch("--resume", f"--run_dir={folder}", "--max_ticks=300")
    assert done.returncode == 0, done.stderr
    assert len(np.load(folder / "updates.npz")["loss"]) > before


def test_as_many_learners_as_keep_up(launch, tmp_path):
    folder = tmp_path / "run"
    flags = ["--environment=gymnasium/CartPole-v1", "--rate_hz=20", "--learner_workers=auto", "--max_ticks=20"]
    done = launch(*flags, f"--run_dir={folder}")
    assert done.returncode == 0, done.stderr
    assert "1 learner will keep up with --learn_every=4" in done.stderr
    summary, *_ = check(folder)
    assert summary["learning"]["workers"] == 1


def test_a_run_may_end_before_its_learner_has_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("RTRL_CACHE", str(tmp_path / "cache"))
    summary = rtrl_jax.run(environment="atari/Boxing", max_ticks=60, display="none", run_dir=str(tmp_path / "run"))
    assert summary["ticks"] == 60
    assert summary["learning"]["updates"] == 0
    assert not summary["failures"]
    assert not processes_with(str(tmp_path))


def test_a_learner_that_comes_in_later_learns(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "COMPILING_S", 0)  # as if that took no time
    monkeypatch.setattr(assembly, "COMPILING_S_A_NUMBER", 0)
    summary = rtrl_jax.run(
        environment="atari/Boxing",
        width=0.25,
        learn_start=20,
        learn_every=8,
        max_ticks=1800,  # it may have to compile first, at niceness 19
        display="none",
        run_dir=str(tmp_path / "run"),
    )
    assert summary["learning"]["updates"] > 5
    assert not summary["failures"]


def test_on_the_wall_clock_the_head_knows_all(tmp_path):
    """The figures are benchmarks' business; here only that head and wait are there, and that D is constant."""
    summary = rtrl_jax.run(
        environment="gymnasium/CartPole-v1",
        rate_hz=20,
        max_ticks=250,
        learn_start=40,
        epsilon_start=0.1,
        epsilon_end=0.1,
        trace_seconds=5,
        display="none",
        pending="late",
        inference_workers="4",
        workers_per_process=4,
        emulated_inference_ms="normal:170,3",
        playout="4",
        run_dir=str(tmp_path / "run"),
    )
    inference = summary["inference"]
    assert not summary["failures"]
    assert summary["delay"]["p50"] == 4
    assert inference["told_all"] > 0.9  # on a machine that does much else
    assert 0 < inference["head_p50_ms"] < 50
    assert inference["tau_mean_ms"] < 190  # waiting is no inference
    trace = (tmp_path / "run" / "trace.json.gz").read_bytes()
    names = {event["name"] for event in json.loads(gzip.decompress(trace))["traceEvents"]}
    assert {"trunk", "waits for the last tick", "head"} <= names


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a worker that shares its core does not rehearse")
def test_rehearsals_are_counted_and_are_no_decisions(tmp_path):
    for rehearse in (True, False):
        summary = rtrl_jax.run(
            environment="gymnasium/CartPole-v1",
            rate_hz=30,
            max_ticks=90,
            learner_workers="0",
            epsilon_end=0.0,
            rehearse=rehearse,
            display="none",
            run_dir=str(tmp_path / f"run-{rehearse}"),
        )
        inference = summary["inference"]
        assert not summary["failures"]
        assert inference["applied"] + inference["overwritten"] + inference["stale"] <= 90
        assert (summary["rehearsals"]["number"] > 20) == rehearse
        assert (0 < summary["rehearsals"]["share"] < 0.4) == rehearse
