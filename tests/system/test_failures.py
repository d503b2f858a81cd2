"""What can go wrong with processes: each is seen, named, survived, and leaves nothing behind."""

import json
import os
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import command, processes_with
from system.test_runs import check

from rtrl_jax.checkpoints import store

FLAGS = ["--environment=gymnasium/CartPole-v1", "--rate_hz=60", "--learn_start=20", "--learn_every=2"]


@pytest.fixture
def running(tmp_path):
    """Starts a run and returns (process, folder, function from place number to process id) once it ticks."""
    started = []

    def start(*flags, name="run"):
        folder = tmp_path / name
        process = subprocess.Popen(
            command(*FLAGS, *flags, f"--run_dir={folder}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)

        def child(place):
            return wait_for(lambda: place_of(folder).get(place))

        wait_for(lambda: (folder / "ticks.raw").exists() and (folder / "ticks.raw").stat().st_size > 0)
        return process, folder, child

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return value


def place_of(folder):
    """{place number: process id} of a run's processes."""
    places = {}
    for pid in processes_with(f"{folder}"):
        arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if any(b"rtrl_jax.realtime.child" in argument for argument in arguments):
            places[PLACES[arguments[-3].decode()]] = pid
    return places


def nothing_left(folder):
    return not processes_with(str(folder)) and not [n for n in os.listdir("/dev/shm") if "rtrl_jax" in n]


def finish(process, folder, timeout=30):
    stdout, stderr = process.communicate(timeout=timeout)
    wait_for(lambda: nothing_left(folder), timeout=3)
    return stdout, stderr


ENVIRONMENT, INFERENCE, LEARNER = 0, 1, 2
SECOND_LEARNER = 3
PLACES = {"environment": ENVIRONMENT, "inference 0": INFERENCE, "learner 0": LEARNER, "learner 1": SECOND_LEARNER}


@pytest.mark.parametrize(("place", "name"), [(INFERENCE, "inference 0"), (LEARNER, "learner 0")])
def test_a_killed_worker_is_named_and_replaced_while_the_environment_goes_on(running, place, name):
    process, folder, child = running("--duration_s=9")
    victim = child(place)
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    replacement = wait_for(lambda: place_of(folder).get(place) not in (victim, None) and place_of(folder)[place])
    assert time.monotonic() - killed < 2
    assert replacement != victim
    _, stderr = finish(process, folder)
    assert process.returncode == 0
    assert f"{name} was killed by SIGKILL; replaced" in stderr
    summary = json.loads((folder / "summary.json").read_text())
    ticks, decisions, updates = (np.load(folder / f"{n}.npz") for n in ("ticks", "decisions", "updates"))
    (failure,) = summary["failures"]
    assert failure["process"] == name
    assert failure["replaced"]
    assert summary["slipped_ticks"] == 0
    assert (np.diff(ticks["boundary_ns"]) < 30e6).all(), "the environment waited"
    after = failure["tick"] + 240  # a replacement takes a few seconds to import and compile
    assert (~ticks["is_default"][after:]).any()
    assert (decisions["obs_tick"] > after).any()
    assert (updates["start_ns"] > ticks["boundary_ns"][failure["tick"]]).any()
    assert (np.diff(updates["applied_version"]) >= 0).all()


def test_learning_goes_on_when_one_of_two_learners_is_killed_and_no_update_is_lost(running):
    process, folder, child = running("--duration_s=10", "--learner_workers=2")
    for _ in range(3):
        time.sleep(0.7)
        os.kill(child(LEARNER), signal.SIGKILL)
    finish(process, folder)
    assert process.returncode == 0
    updates, ticks = np.load(folder / "updates.npz"), np.load(folder / "ticks.npz")
    failures = json.loads((folder / "summary.json").read_text())["failures"]
    assert {failure["process"] for failure in failures} == {"learner 0"}
    # A learner killed between its commit and its record leaves an update that is in the parameters and not in the list.
    missing = updates["applied_version"][-1] + 1 - len(updates["applied_version"])
    assert 0 <= missing <= len(failures)
    assert (np.diff(updates["applied_version"]) >= 1).all(), "an update was applied twice"
    began = ticks["boundary_ns"][failures[0]["tick"]]
    assert np.diff(updates["end_ns"][updates["end_ns"] > began]).max() < 1.5e9, "the turn of the dead was not passed on"
    assert set(updates["learner"].tolist()) == {0, 1}


def test_a_hung_worker_is_replaced(running):
    process, folder, child = running("--duration_s=8", "--hang_timeout_s=1")
    victim = child(INFERENCE)
    os.kill(victim, signal.SIGSTOP)
    wait_for(lambda: place_of(folder).get(INFERENCE) not in (victim, None))
    _, stderr = finish(process, folder)
    assert process.returncode == 0
    assert "inference 0 gave no sign of life" in stderr


def test_the_death_of_the_environment_ends_the_run_with_everything_saved(running):
    process, folder, child = running("--duration_s=60")
    time.sleep(1)
    os.kill(child(ENVIRONMENT), signal.SIGKILL)
    _, stderr = finish(process, folder, timeout=10)
    assert process.returncode == 1
    assert "environment was killed by SIGKILL" in stderr
    assert "Traceback" not in stderr
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["ticks"] == len(np.load(folder / "ticks.npz")["action"]) > 30
    assert summary["failures"][0]["process"] == "environment"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_cleanly_within_three_seconds(running, number):
    process, folder, _ = running("--duration_s=60")
    time.sleep(1)
    began = time.monotonic()
    process.send_signal(number)
    finish(process, folder)
    assert time.monotonic() - began < 3
    assert process.returncode == 0
    summary, *_ = check(folder)
    assert summary["ended_by"] == number.name


def test_ctrl_c_during_a_slow_inference_and_at_a_slow_rate(running):
    process, folder, _ = running("--duration_s=60", "--rate_hz=0.3", "--emulated_inference_ms=60000")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    finish(process, folder)
    assert time.monotonic() - began < 3
    assert (folder / "summary.json").exists()


def test_ctrl_c_while_starting(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(command(*FLAGS, f"--run_dir={folder}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: place_of(folder))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    finish(process, folder)
    assert time.monotonic() - began < 3
    assert json.loads((folder / "summary.json").read_text())["ticks"] == 0


def test_a_signal_to_all_its_processes_ends_a_run_as_one_to_the_supervisor_does(running):
    """As service managers and batch systems send it."""
    process, folder, _ = running("--duration_s=60")
    for pid in processes_with(str(folder)):
        os.kill(pid, signal.SIGTERM)
    finish(process, folder)
    assert process.returncode == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["ended_by"], summary["failures"], summary["checkpoints"]) == ("SIGTERM", [], 1)


def test_nothing_outlives_a_supervisor_that_was_killed(running):
    process, folder, _ = running("--duration_s=60")
    assert len(place_of(folder)) == 3
    process.kill()
    process.wait()
    wait_for(lambda: nothing_left(folder), timeout=2)
    assert (folder / "ticks.raw").stat().st_size > 0, "what was recorded should be there"


def test_an_exception_in_a_worker_is_shown_with_its_traceback(launch, tmp_path):
    (tmp_path / "broken.py").write_text(
        "import gymnasium\n"
        "class Broken(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(0, 1, (2,))\n"
        "    action_space = gymnasium.spaces.Discrete(2)\n"
        "    def reset(self, seed=None, options=None): return self.observation_space.sample(), {}\n"
        "    def step(self, action): raise OSError('the arm came off')\n"
        "gymnasium.register('Broken-v0', entry_point=Broken)\n"
    )
    folder = tmp_path / "run"
    done = launch(
        "--environment=gymnasium/broken:Broken-v0",
        "--rate_hz=20",
        f"--run_dir={folder}",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "the arm came off" in done.stderr
    (failure,) = json.loads((folder / "summary.json").read_text())["failures"]
    assert "Traceback" in failure["traceback"]
    assert "broken.py" in failure["traceback"]


@pytest.mark.parametrize("flags", [["--learner_workers=2"], ["--interaction=sequential"]], ids=" ".join)
def test_parameters_that_are_no_numbers_act_nowhere_and_are_not_kept_and_the_run_can_be_gone_on_with(
    launch, tmp_path, flags
):
    folder = tmp_path / "run"
    done = launch(*FLAGS, *flags, "--max_ticks=2000", "--learning_rate=1e39", f"--run_dir={folder}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "diverged: update 1 was not made, since it leads to parameters that are no finite numbers" in done.stderr
    assert nothing_left(folder)
    summary = json.loads((folder / "summary.json").read_text())
    (failure,) = summary["failures"]
    assert failure["process"].startswith("agent" if "sequential" in flags[0] else "learner")
    assert not failure["replaced"]
    assert summary["learning"]["updates"] == 0
    last = store.whole(folder)[-1]
    assert store.read_manifest(last)["tick"] == summary["ticks"] - 1 < 1900
    assert all(np.isfinite(leaf).all() for leaves in store.read_leaves(last).values() for leaf in leaves)
    more = f"--max_ticks={summary['ticks'] + 120}"
    done = launch("--resume", f"--run_dir={folder}", more, "--learning_rate=1e-3")
    assert done.returncode == 0, done.stderr
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["learning"]["updates"] > 0
    assert np.isfinite(summary["learning"]["loss"])


def test_without_shared_memory_the_board_is_a_file_in_the_run_folder(launch, tmp_path):
    folder = tmp_path / "run"
    done = launch(*FLAGS, "--duration_s=2", f"--run_dir={folder}", env={**os.environ, "RTRL_SHM": str(tmp_path / "no")})
    assert done.returncode == 0, done.stderr
    assert "the board is a file" in done.stderr
    check(folder)
    assert not list(folder.glob("rtrl_jax-*"))


def test_processes_have_the_cores_niceness_and_priority_they_should(running):
    process, folder, _ = running("--duration_s=60")
    cores = sorted(os.sched_getaffinity(0))
    places = wait_for(lambda: len(place_of(folder)) == 3 and place_of(folder))
    assert os.sched_getaffinity(places[ENVIRONMENT]) == {cores[0]}
    assert os.sched_getaffinity(places[INFERENCE]) == {cores[1 % len(cores)]}
    assert os.getpriority(os.PRIO_PROCESS, places[LEARNER]) == 19
    assert os.getpriority(os.PRIO_PROCESS, places[INFERENCE]) == 0
    process.send_signal(signal.SIGINT)
    finish(process, folder)
    priority = json.loads((folder / "summary.json").read_text())["realtime_priority"]
    try:  # the right to it is this process's too
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        assert not priority
    else:
        assert priority


def test_a_terminal_that_goes_away_does_not_take_the_run_with_it(tmp_path):
    folder = tmp_path / "run"
    reading, writing = os.pipe()
    process = subprocess.Popen(command(*FLAGS, "--duration_s=3", f"--run_dir={folder}"), stdout=writing, stderr=writing)
    os.close(writing)
    os.close(reading)
    assert process.wait(60) == 0
    wait_for(lambda: nothing_left(folder), timeout=3)
    check(folder)
