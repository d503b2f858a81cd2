"""Whole sweeps through the command line: to the end, killed and started again, ended by a signal, failing, refused."""

import contextlib
import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, processes_with

import rtrl_jax
from rtrl_jax.checkpoints import restoring, store
from rtrl_jax.errors import UserError
from rtrl_jax.settings import Settings
from rtrl_jax.sweeps import child, grid, place
from rtrl_jax.sweeps import sweep as playing
from rtrl_jax.sweeps.definition import Played, Sweep
from rtrl_jax.telemetry.recorder import read_back
from rtrl_jax.telemetry.terminal import Display

TOY = ("--environment=toy/chain-0.9", "--delay=2", "--policy=random", "--checkpoint_every_s=0.2")
BROKEN = """
import gymnasium
import numpy as np

class Broken(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32), gymnasium.spaces.Discrete(2)

    def __init__(self, breaks=0):
        self._left = breaks or 10**9

    def reset(self, seed=None, options=None):
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self._left -= 1
        if not self._left:
            raise ValueError("the hinge broke")
        return np.zeros(1, np.float32), 1.0, False, False, {}

gymnasium.register("Broken-v0", entry_point=Broken, max_episode_steps=20)
"""


def command(*flags):
    return [sys.executable, str(ROOT / "launch" / "sweep.py"), *map(str, flags)]


def sweep(*flags, **kwargs):
    return subprocess.run(command(*flags), capture_output=True, text=True, timeout=180, **kwargs)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def wait_for(what, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def marks(out):
    """What a run that is made again would change."""
    return {
        path: (path.stat().st_ino, path.stat().st_mtime_ns)
        for name in ("runs", "evaluations")
        for path in (out / name).glob("*/summary.json")
    }


@pytest.fixture
def begun(tmp_path):
    """A sweep of a short and a long run, one at a time, once the long one plays; what goes on with it; and its folder."""
    out = tmp_path / "sweep"
    flags = (*TOY, "--grid=max_ticks=200,20000", "--seeds=0", "--jobs=1", f"--out={out}")
    process = subprocess.Popen(command(*flags), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: store.whole(out / "runs" / "max_ticks-20000-seed0"))
        yield process, flags, out
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_two_cells_and_two_seeds_to_the_end_and_nothing_twice(tmp_path):
    flags = ("--environment=gymnasium/CartPole-v1", "--rate_hz=50", "--delay=1", "--max_ticks=200", "--learn_start=50")
    flags += ("--grid=policy=agent,random", "--seeds=0-1", "--evaluate_episodes=3", "--evaluate_max_ticks=60")
    done = sweep(*flags, f"--out={tmp_path}/s")
    assert done.returncode == 0, done.stderr
    rows = read(tmp_path / "s" / "runs.csv")
    assert [row["run"] for row in rows] == [
        f"policy-{way}-seed{seed}" for seed in (0, 1) for way in ("agent", "random")
    ]
    assert {row["state"] for row in rows} == {"finished"}
    summary = json.loads((tmp_path / "s" / "runs" / "policy-agent-seed1" / "summary.json").read_text())
    assert float(rows[2]["learning.loss"]) == summary["learning"]["loss"]
    assert {row["evaluation.episodes"] for row in rows} == {"3"}
    assert {row["evaluation.policy"] for row in rows} == {"checkpoint", "random"}
    agent, random = read(tmp_path / "s" / "cells.csv")
    assert (agent["policy"], agent["seeds"], random["policy"], random["seeds"]) == ("agent", "2", "random", "2")
    assert float(agent["evaluation.mean.half_width"]) >= 0
    assert "policy-random  2 of 2" in " ".join(done.stdout.split("\n")).replace("   ", "  ")
    evaluated = json.loads((tmp_path / "s" / "evaluations" / "policy-agent-seed0" / "summary.json").read_text())
    assert evaluated["settings"]["epsilon"] == 0  # greedily

    before, tables = marks(tmp_path / "s"), [(tmp_path / "s" / name).read_text() for name in ("runs.csv", "cells.csv")]
    assert len(before) == 8
    again = sweep(*flags, f"--out={tmp_path}/s")
    assert again.returncode == 0
    assert "4 of them done before" in again.stderr
    assert marks(tmp_path / "s") == before
    assert [(tmp_path / "s" / name).read_text() for name in ("runs.csv", "cells.csv")] == tables

    other = sweep(*flags, "--learning_rate=0.01", f"--out={tmp_path}/s")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "holds another sweep (its --learning_rate: not given; here 0.01)" in other.stderr
    assert marks(tmp_path / "s") == before


def test_killed_and_started_again_it_goes_on_and_makes_nothing_twice(begun):
    process, flags, out = begun
    before = marks(out)
    assert len(before) == 1
    (run,) = processes_with(f"{out}/runs/")
    os.kill(run, signal.SIGKILL)  # its own end is a failure
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "max_ticks-20000-seed0 has failed: killed by SIGKILL" in said
    assert "killed by SIGKILL" in place.of(out, "max_ticks-20000-seed0").reason()

    process = subprocess.Popen(command(*flags, "--retry_failed"), stderr=subprocess.DEVNULL)
    wait_for(lambda: processes_with(f"{out}/runs/"))
    process.kill()  # the sweep's is none
    process.wait()
    wait_for(lambda: not processes_with(f"{out}/runs/"))  # and nothing is left behind
    done = sweep(*flags)
    assert done.returncode == 0, done.stderr
    assert "1 of them done before" in done.stderr
    assert "max_ticks-20000-seed0: goes on" in done.stderr
    log = place.of(out, "max_ticks-20000-seed0").log.read_text()
    assert "going on at tick" in log.split("the run is in")[-2]  # of its last session
    assert "begins again" not in log
    assert before.items() <= marks(out).items()
    assert [row["state"] for row in read(out / "runs.csv")] == ["finished", "finished"]
    assert [row["ticks"] for row in read(out / "runs.csv")] == ["200", "20000"]


def test_a_signal_ends_it_with_checkpoints_and_it_is_no_failure(begun):
    process, _, out = begun
    second = sweep(*begun[1])
    assert (second.returncode, second.stderr.count("\n")) == (2, 1)
    assert "belongs to a sweep that is still going on" in second.stderr
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "SIGTERM: ending 1 run with a checkpoint each" in said
    assert "the same command goes on" in said
    run = out / "runs" / "max_ticks-20000-seed0"
    assert json.loads((run / "summary.json").read_text())["ended_by"] == "SIGTERM"
    assert store.whole(run)
    assert [row["state"] for row in read(out / "runs.csv")] == ["finished", "unfinished"]
    assert not list((out / "failures").iterdir())


def test_a_failing_cell_is_named_and_the_rest_goes_on(tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    flags = (
        "--environment=gymnasium/broken:Broken-v0",
        "--rate_hz=50",
        "--delay=1",
        "--policy=random",
        "--max_ticks=90",
    )
    flags += ("""--grid=environment_kwargs='{"breaks": 40}',{}""", "--seeds=0", "--jobs=1", f"--out={tmp_path}/s")
    done = sweep(*flags, cwd=tmp_path)
    assert done.returncode == 1
    bad, good = read(tmp_path / "s" / "runs.csv")
    assert (bad["state"], good["state"], good["ticks"]) == ("failed", "finished", "90")
    assert "ValueError: the hinge broke" in bad["reason"]
    assert f"failed: {bad['run']}: {bad['reason']}" in done.stdout

    before = marks(tmp_path / "s")
    (tmp_path / "broken.py").write_text(BROKEN.replace("if not self._left", "if False"))
    again = sweep(*flags, cwd=tmp_path)  # what has failed is left alone
    assert again.returncode == 1
    assert marks(tmp_path / "s") == before
    assert "1 of 2 runs have failed: --retry_failed" in again.stdout
    retried = sweep(*flags, "--retry_failed", cwd=tmp_path)
    assert retried.returncode == 0, retried.stderr
    assert [row["state"] for row in read(tmp_path / "s" / "runs.csv")] == ["finished", "finished"]
    assert marks(tmp_path / "s")[tmp_path / "s" / "runs" / good["run"] / "summary.json"] in before.values()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--grid=dealy=1"], "no flag --dealy"),
        (["--grid=delay=1,0"], "--delay=0: it must be between"),
        (["--grid=environment=toy/chain-0.9,toy/chian"], "toy/chian"),
    ],
)
def test_bad_input_is_one_line_before_anything_starts(tmp_path, flags, says):
    done = sweep("--environment=toy/chain-0.9", "--policy=random", f"--out={tmp_path}/s", *flags)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "summary.json").write_text("precious")
    done = sweep(*TOY, f"--out={tmp_path}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    done = sweep(*TOY)
    assert done.returncode == 2
    assert "--out=FOLDER" in done.stderr


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"seed": 3}, "give --seeds"),
        ({"run_dir": "x"}, "with --out"),
        ({"page": 8000}, "--page is of one run alone"),
        ({"checkpoint_every_s": 0.0}, "plays checkpoints"),
    ],
)
def test_what_a_sweep_decides_cannot_be_said_of_its_runs(given, says):
    def check(settings):
        grid.check_common(dataclasses.asdict(settings))
        Sweep(settings, grid.cells([]), [0], Played(2, 100)).check()

    with pytest.raises(UserError, match=says):
        check(Settings(**given))


@pytest.mark.parametrize(("delay", "at_a_time"), [(1, 4), (None, 1)])
def test_runs_by_the_wall_clock_take_turns(tmp_path, monkeypatch, delay, at_a_time):
    going, most = set(), []

    class Job:
        is_lost = False

        def __init__(self, run, where, *_):
            self.run, self.place, self.looks = run, where, 0
            going.add(run.name)
            most.append(len(going))

        def has_ended(self):
            self.looks += 1
            if self.looks < 3:
                return False
            going.discard(self.run.name)
            return True

        def failure(self, **_):
            return ""

        def share(self):
            return 0.0

        def words(self):
            return "", ""

        def kill(self):
            going.discard(self.run.name)

    monkeypatch.setattr(playing, "_Job", Job)
    monkeypatch.setattr(playing, "LOOK_S", 0)
    display = Display("", enabled=False)
    playing.Playing(Sweep(Settings(delay=delay), grid.cells([]), list(range(6))), tmp_path, 4, display).play(False)
    assert (len(most), max(most)) == (6, at_a_time)


def test_what_has_become_of_a_run_is_what_its_folder_says(tmp_path, monkeypatch):
    """A process may be killed after all has been written."""

    class Job:
        is_lost = False

        def __init__(self, run, where, *_):
            self.run, self.place = run, where
            where.run.mkdir()
            episodes = {"count": 1, "return_mean": 2.0}
            ended_by = "its limits" if run.seed else "SIGTERM"
            (where.run / "summary.json").write_text(
                json.dumps({"ticks": 5, "episodes": episodes, "ended_by": ended_by})
            )

        def has_ended(self):
            return True

        def failure(self, **_):
            return "killed by SIGABRT"

        def seconds(self):
            return 1.0

    monkeypatch.setattr(playing, "_Job", Job)
    sweep = Sweep(Settings(delay=1), grid.cells([]), [0, 1])
    rows = playing.Playing(sweep, tmp_path, 1, Display("", enabled=False)).play(False)
    assert [(row.state, row.reason) for row in rows] == [("failed", "killed by SIGABRT"), ("finished", "")]


def make_checkpoint(run, tick):
    (run / "checkpoints" / f"{tick:012d}").mkdir(parents=True)


@pytest.fixture
def called(monkeypatch):
    """What is called of resume and run, in order; resume raises what is in `called.raises`, one after the other."""

    class Calls(list):
        raises = ()

    calls = Calls()

    def resume(folder, **_):
        calls.append("resume")
        if calls.raises:
            raise calls.raises.pop(0)

    monkeypatch.setattr(rtrl_jax, "resume", resume)
    monkeypatch.setattr(rtrl_jax, "run", lambda **_: calls.append("run"))
    return calls


@pytest.mark.parametrize("delay", [1, None])
def test_what_can_never_be_gone_on_with_begins_again_where_the_same_comes_of_it(tmp_path, called, delay):
    here = place.of(tmp_path, "one")
    settings = Settings(delay=delay, run_dir=str(here.run))
    child._play(settings, here)
    make_checkpoint(here.run, 100)
    called.raises = [restoring.NoWayOnError("no way")]
    with contextlib.nullcontext() if delay else pytest.raises(UserError):
        child._play(settings, here)
    assert called == ["run", "resume", *(["run"] if delay else [])]
    assert here.run.exists() == (delay is None)


@pytest.mark.parametrize("delay", [1, None])
def test_a_run_that_cannot_be_gone_on_with_just_now_keeps_its_checkpoints(tmp_path, called, delay):
    here = place.of(tmp_path, "one")
    make_checkpoint(here.run, 100)
    called.raises = [UserError("too little memory")]
    with pytest.raises(UserError, match="memory"):
        child._play(Settings(delay=delay, run_dir=str(here.run)), here)
    assert (called, len(store.whole(here.run))) == (["resume"], 1)


def test_a_damaged_checkpoint_gives_way_to_the_one_before_and_a_lock_is_waited_for(tmp_path, called):
    here = place.of(tmp_path, "one")
    for tick in (100, 200):
        make_checkpoint(here.run, tick)
    called.raises = [store.BusyError("still going on"), store.DamagedError(store.whole(here.run)[-1], "it has changed")]
    child._play(Settings(run_dir=str(here.run)), here)
    assert (called, [path.name for path in store.whole(here.run)]) == (["resume"] * 3, ["000000000100"])
    called.raises = [store.DamagedError(store.whole(here.run)[-1], "it has changed")]
    with pytest.raises(store.DamagedError):  # the last one of a run that would not repeat is for somebody to look at
        child._play(Settings(run_dir=str(here.run)), here)
    assert len(store.whole(here.run)) == 1


@pytest.fixture
def played(tmp_path):
    """A finished run of 60 ticks by nobody's clock, and its settings."""
    here = place.of(tmp_path, "one")
    given = {"environment": "toy/chain-0.9", "delay": 1, "policy": "random", "max_ticks": 60, "display": "none"}
    settings = Settings(**given, run_dir=str(here.run), checkpoint_every_s=1000.0)
    here.run.parent.mkdir()
    rtrl_jax.run(**dataclasses.asdict(settings))
    return here, settings


def test_a_run_that_was_killed_before_its_summary_is_finished_from_its_records(played, called):
    here, settings = played
    before, records = here.summary(), read_back(here.run)
    for kind, rows in records.items():
        (here.run / f"{kind}.raw").write_bytes(rows.tobytes())
        (here.run / f"{kind}.npz").unlink()
    (here.run / "summary.json").unlink()
    called.raises = [restoring.AtItsEndError("has reached its --max_ticks")]
    child._play(settings, here)
    assert called == ["resume"]
    unknown = ("records_lost", "not_finite", "realtime_priority", "rehearsals", "startup_s", "seconds")
    assert {**here.summary(), **{name: before[name] for name in unknown}} == before
    assert all((read_back(here.run)[kind] == rows).all() for kind, rows in records.items())
    assert here.is_over()


def test_going_on_with_a_run_at_its_end_says_so_by_name(played):
    with pytest.raises(restoring.AtItsEndError):
        rtrl_jax.resume(played[0].run)


def test_only_a_checkpoint_of_the_end_is_evaluated(played, tmp_path, monkeypatch):
    run = played[0].run
    assert child._has_checkpoint_of_its_end(run)
    (at,) = store.whole(run)
    at.rename(at.with_name(f"{int(at.name) - 1:012d}"))
    assert not child._has_checkpoint_of_its_end(run)
    came = []
    monkeypatch.setattr(child, "_play", lambda *_: came.append("play"))
    monkeypatch.setattr(child, "_evaluate", lambda *_: came.append("evaluate"))
    for policy in ("random", "agent"):
        given = dataclasses.asdict(dataclasses.replace(played[1], policy=policy))
        message = child.Message(0, 0, str(tmp_path), "one", given, episodes=1, most_ticks=10)
        with contextlib.nullcontext() if policy == "random" else pytest.raises(RuntimeError, match="of its end"):
            child.perform(message)
    assert came == ["evaluate", "play"]


def test_an_evaluation_has_the_run_s_cores_and_acts_as_it_did(tmp_path, monkeypatch):
    here, evaluated = place.of(tmp_path, "one"), []
    monkeypatch.setattr("rtrl_jax.evaluation.evaluate.evaluate", evaluated.append)
    allowed = os.sched_getaffinity(0)
    core = str(max(allowed))
    try:
        for given in ({"policy": "random", "default_action": "repeat", "delay": 3}, {"delay": 3}, {}):
            settings = Settings(**given, cores=core)
            child._evaluate(settings, here, child.Message(0, 0, str(tmp_path), "one", {}, 5, 100))
    finally:
        os.sched_setaffinity(0, allowed)
    assert [one.cores for one in evaluated] == [core] * 3
    assert (evaluated[0].default_action, evaluated[0].delay) == ("repeat", 3)
    assert (evaluated[1].delay, evaluated[1].inaction) == (None, None)  # left to the checkpoint's run


def test_on_which_cores_is_not_what_a_sweep_is():
    one, other = (Sweep(Settings(cores=cores), grid.cells([]), [0]).as_dict() for cores in (None, "0"))
    assert one == other


@pytest.mark.parametrize(
    ("given", "cells", "played", "says"),
    [
        ({"delay": 2}, "inference_workers=auto,3", Played(), "makes --inference_workers 2"),
        ({"delay": 1}, "network=mlp,resnet15", Played(), "does not take the vectors"),
        ({"clock": "virtual"}, "inference_latency_ms=30,trace:/no/such/run", Played(), "/no/such/run"),
        ({"delay": 1, "policy": "random"}, "sticky_actions=0,0.2", Played(5, 10**12), "--max_ticks_per_episode"),
    ],
)
def test_what_a_run_would_refuse_is_refused_before_the_sweep_begins(given, cells, played, says):
    settings = Settings(environment="gymnasium/CartPole-v1", rate_hz=50.0, **given)
    with pytest.raises(UserError, match=says):
        Sweep(settings, grid.cells([cells]), [0], played).check()


def test_there_are_no_more_runs_at_a_time_than_memory_has_room_for(tmp_path, monkeypatch, capsys):
    sweep = Sweep(Settings(environment="toy/chain-0.9", delay=1, max_ticks=100), grid.cells([]), list(range(6)))
    takes = sweep.check()
    large = sweep._replace(settings=dataclasses.replace(sweep.settings, replay_capacity=1_000_000))
    assert 0 < takes < large.check()
    monkeypatch.setattr(playing.memory, "available", lambda: 2 * takes + 1)
    told = []
    monkeypatch.setattr(Display, "say", lambda self, line: told.append(line))
    one = playing.Playing(sweep, tmp_path, 4, Display("", enabled=False), takes)
    one._say_start(sweep.runs())
    assert "6 runs; 2 at a time" in told[0]
    assert "memory has room for no more" in told[1]


def test_a_finished_run_is_looked_at_once(played, tmp_path, monkeypatch):
    looks = []
    summary = place.Place.summary
    monkeypatch.setattr(place.Place, "summary", lambda self: looks.append(self.run) or summary(self))
    played[0].run.rename(tmp_path / "runs" / "base-seed0")
    sweep = Sweep(Settings(delay=1), grid.cells([]), [0])
    one = playing.Playing(sweep, tmp_path, 1, Display("", enabled=False))
    assert [one._states(), one._states()] == [{"finished": 1}] * 2
    assert len(looks) == 1
