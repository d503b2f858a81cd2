"""Inference workers on other machines: real Ray nodes on this one, a real run on them, and what can go wrong."""

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, command
from ray_nodes import ours, runs, started, wait_for

from rtrl_jax.board.records import TICK
from rtrl_jax.checkpoints import store
from rtrl_jax.telemetry.tail import KINDS

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: the extra cluster"
)

WORLD = ["--environment=gymnasium/CartPole-v1", "--rate_hz=60", "--cores=0", "--learn_start=20", "--learn_every=4"]
ELSEWHERE = [*WORLD, "--inference_workers=2"]  # of which none has a core beside environment and learner


@pytest.fixture(scope="module")
def nodes():
    with started(1, 1) as nodes:
        yield nodes


class Run:
    """One in progress."""

    def __init__(self, folder, *flags):
        self.folder = folder
        self.process = subprocess.Popen(
            command(*flags, f"--run_dir={folder}"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: self.ticks() > 60 or self.process.poll() is not None, 120)
        assert self.process.poll() is None, self.process.communicate()

    def ticks(self):
        """How many have been recorded, about."""
        return self.made("ticks")

    def made(self, kind):
        """The same of a kind of record."""
        raw = self.folder / f"{kind}.raw"
        return raw.stat().st_size // KINDS[kind].itemsize if raw.exists() else 0

    def saved(self):
        """Updates that are in the newest checkpoint."""
        found = store.whole(self.folder)
        return store.read_manifest(found[-1])["updates"] if found else 0

    def acted(self):
        """Who has in the last ticks that are recorded."""
        rows = np.fromfile(self.folder / "ticks.raw", TICK, count=self.ticks())
        return set(rows["worker"][-60:].tolist())

    def end(self):
        """(summary, ticks, decisions, what it said) once it has ended."""
        out, said = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, out + said
        records = [dict(np.load(self.folder / f"{name}.npz")) for name in ("ticks", "decisions")]
        return json.loads((self.folder / "summary.json").read_text()), *records, out + said


@pytest.fixture
def run(nodes, tmp_path):
    begun = []

    def start(*flags, name="run"):
        begun.append(Run(tmp_path / name, *flags, f"--cluster={nodes.address}"))
        return begun[-1]

    yield start
    for one in begun:
        one.process.kill()
        one.process.communicate()
    wait_for(lambda: not ours(), 20)


def test_workers_elsewhere_act_and_learn_from_what_is_learned_and_bridges_may_die(run, nodes):
    going = run(*ELSEWHERE, "--emulated_inference_ms=20", "--epsilon_start=0", "--epsilon_end=0", "--duration_s=9")
    (home,) = [one for one in _children(going.process.pid) if "bridge" in one.cmdline()]
    there = nodes.bridge(nodes.all[0])
    wait_for(lambda: going.ticks() > 120)
    home.send_signal(signal.SIGKILL)
    wait_for(lambda: going.ticks() > 240)
    there.send_signal(signal.SIGSTOP)  # as a network that stalls, for a part of the patience there is
    time.sleep(1.5)
    there.send_signal(signal.SIGCONT)
    summary, ticks, decisions, said = going.end()
    assert [failure["process"] for failure in summary["failures"]] == ["bridge"], said
    assert {0, 1} <= set(ticks["worker"][-60:]), "both act, to the end"
    assert summary["slipped_ticks"] == 0
    # β begins short episodes, for longer on a busy machine; that both workers are there is what counts.
    assert ticks["is_default"][60:120].mean() < 0.8
    assert ticks["is_default"][-90:].mean() < 0.8
    assert (np.diff(ticks["boundary_ns"]) < 40e6).all(), "the environment waited"
    assert decisions["version"].max() > summary["learning"]["updates"] / 2
    order = [decisions[name] for name in ("start_ns", "end_ns", "registered_ns")]
    assert (np.diff(order, axis=0) >= 0).all()
    applied = decisions["status"] == 0
    observed = ticks["published_ns"][decisions["obs_tick"][applied]]
    assert (observed < decisions["start_ns"][applied] + 2_000_000).all(), "an instant by a clock that is not ours"
    assert [machine["inference_workers"] for machine in summary["machines"]] == [[0], [1]]
    assert all(abs(machine["clock_ahead_ms"]) < 5 for machine in summary["machines"])
    trace = subprocess.run(["zcat", going.folder / "trace.json.gz"], capture_output=True, text=True).stdout
    assert f"worker 1 on {summary['machines'][1]['machine']}" in trace
    goes_on = ["--resume", f"--run_dir={going.folder}", "--cluster=off", "--cores=0,1", "--duration_s=11"]
    alone = subprocess.run(command(*goes_on), capture_output=True, text=True, timeout=60)
    assert alone.returncode == 0, alone.stderr
    later = dict(np.load(going.folder / "ticks.npz"))
    assert {0, 1} <= set(later["worker"][later["session"] == 1])


def test_a_crew_of_a_lost_machine_goes_on_elsewhere_and_nothing_outlives_the_supervisor(run, nodes):
    third = nodes.add(1)
    times = ["--emulated_inference_ms=30", "--epsilon_start=0", "--epsilon_end=0"]
    going = run(*ELSEWHERE, *times, "--stagger=max_time", "--duration_s=120")
    assert len(ours()) == 4
    victim = next(node for node in (*nodes.all, third) if nodes.bridge(node))
    wait_for(lambda: {0, 1} <= going.acted())
    nodes.kill(victim)
    wait_for(lambda: not {0, 1} <= going.acted())
    wait_for(lambda: {0, 1} <= going.acted(), 60)
    going.process.kill()
    said = going.process.communicate()[1]
    wait_for(lambda: not ours(), 20)
    wait_for(lambda: not [name for name in os.listdir("/dev/shm") if "rtrl_jax" in name], 5)
    nodes.remove(victim)
    nodes.all = [node for node in (*nodes.all, third) if node is not victim]
    lost, found = [line for line in said.splitlines() if "wait for a machine" in line or "go on on" in line]
    assert "was lost" in lost or "is not heard" in lost
    assert found.startswith(lost.split(": ")[1].split(" wait")[0])
    ticks = np.fromfile(going.folder / "ticks.raw", TICK, count=going.ticks())
    assert np.diff(np.flatnonzero(~ticks["is_default"])).max() < 120, "β alone for two seconds or more"
    assert not ticks["slipped"].any()


def test_a_bridge_that_hangs_is_given_up_and_its_crew_begins_anew(run, nodes):
    going = run(*ELSEWHERE, "--emulated_inference_ms=20", "--hang_timeout_s=2", "--duration_s=120")
    wait_for(lambda: {0, 1} <= going.acted())
    hanging = nodes.bridge(nodes.all[0])
    hanging.send_signal(signal.SIGSTOP)
    wait_for(lambda: not {0, 1} <= going.acted())
    wait_for(lambda: not hanging.is_running(), 30)
    wait_for(lambda: {0, 1} <= going.acted(), 60)
    going.process.send_signal(signal.SIGINT)
    summary, _, _, said = going.end()
    (failure,) = summary["failures"]
    assert "is not heard any more" in failure["reason"], said
    assert sum(machine["lost"] for machine in summary["machines"]) == 1


def test_learners_elsewhere_are_heard_lost_and_replaced_and_a_run_goes_on_without_them(run, nodes):
    third = nodes.add(1)
    flags = ["--learners_on=auto", "--inference_workers=1", "--checkpoint_every_s=1", "--duration_s=120"]
    going = run(*WORLD, *flags, "--emulated_inference_ms=20", "--epsilon_start=0", "--epsilon_end=0")
    wait_for(lambda: going.made("updates") > 60 and going.saved() > 20, 60)
    victim = next(node for node in (*nodes.all, third) if nodes.runs(node, "learner 0"))
    nodes.kill(victim)
    nodes.all = [node for node in (*nodes.all, third) if node is not victim]
    made = going.made("updates")
    wait_for(lambda: any(nodes.runs(node, "learner 0") for node in nodes.all), 60)
    wait_for(lambda: going.made("updates") > made + 60, 60)
    going.process.send_signal(signal.SIGINT)
    summary, ticks, decisions, said = going.end()
    nodes.remove(victim)
    (lost,) = [failure for failure in summary["failures"] if "learner 0 wait for a machine" in failure["reason"]]
    assert not lost["replaced"]
    assert "learner 0 go on on" in said
    assert [machine["learners"] for machine in summary["machines"]] == [[0], []]
    assert " 1 learner " in said
    trace = subprocess.run(["zcat", going.folder / "trace.json.gz"], capture_output=True, text=True).stdout
    assert any(f'"learner 0 on {name}"' in trace for name in lost["process"].split()), "where it began"
    updates = dict(np.load(going.folder / "updates.npz"))
    newest = int(updates["applied_version"].max()) + 1
    assert newest > made + 60, "parameters went back"
    assert going.saved() == newest, "the end is not saved"
    assert decisions["version"].max() > newest - 30, "who acts does not get what is learned"
    assert (updates["start_ns"] > ticks["boundary_ns"][20]).all(), "an instant by a clock that is not ours"
    assert np.quantile(ticks["lateness_ns"], 0.99) < 3e6, "the environment feels it"
    goes_on = ["--resume", f"--run_dir={going.folder}", "--cluster=off", "--cores=0,1"]
    length = len(ticks["tick"]) / 60 + 4
    alone = subprocess.run(command(*goes_on, f"--duration_s={length}"), capture_output=True, text=True, timeout=60)
    assert alone.returncode == 0, alone.stderr
    assert f"with {newest} updates made" in alone.stdout + alone.stderr
    later = dict(np.load(going.folder / "updates.npz"))
    assert later["applied_version"].max() > newest + 20


def test_of_two_learners_elsewhere_one_goes_on_while_the_other_is_replaced(tmp_path):
    flags = [*WORLD, "--learners_on=auto", "--learner_workers=2", "--inference_workers=1", "--duration_s=120"]
    with started(3) as nodes:
        going = Run(tmp_path / "run", *flags, f"--cluster={nodes.address}")
        killed = []
        for number in (0, 1, 0, 1):  # about every other one of whom has the turn
            made = going.made("updates")
            wait_for(lambda made=made: going.made("updates") > made + 40, 60)
            (learner,) = nodes.named(nodes.all[0], f"learner {number}")
            killed.append((number, time.monotonic_ns()))
            learner.send_signal(signal.SIGKILL)
            wait_for(
                lambda number=number, dead=learner.pid: (
                    {one.pid for one in nodes.named(nodes.all[0], f"learner {number}")} - {dead}
                )
            )
            wait_for(lambda begun=killed[-1]: _made_by(going, begun), 60)
        going.process.send_signal(signal.SIGINT)
        summary, _, _, said = going.end()
        wait_for(lambda: not ours(), 20)
    assert [failure["process"].split(" on ")[0] for failure in summary["failures"]] == [
        f"learner {one}" for one, _ in killed
    ], said
    updates = dict(np.load(going.folder / "updates.npz"))
    assert (np.diff(np.sort(updates["applied_version"])) == 1).all(), "an update is missing, or made twice"
    for number, at_ns in killed:
        back_ns = updates["start_ns"][(updates["learner"] == number) & (updates["start_ns"] > at_ns)].min()
        alone = (updates["learner"] != number) & (updates["start_ns"] > at_ns) & (updates["end_ns"] < back_ns)
        assert alone.sum() > 5, "nobody passed the turn of the dead"


def _made_by(run, begun):
    """Whether a learner has made an update since an instant."""
    number, at_ns = begun
    rows = np.fromfile(run.folder / "updates.raw", KINDS["updates"], count=run.made("updates"))
    return ((rows["learner"] == number) & (rows["start_ns"] > at_ns)).any()


def test_learning_that_diverges_elsewhere_ends_the_run_as_it_does_here(tmp_path, nodes):
    flags = [*WORLD, "--inference_workers=1", "--learners_on=auto", "--learning_rate=1e38", "--duration_s=120"]
    done = subprocess.run(
        command(*flags, f"--cluster={nodes.address}", f"--run_dir={tmp_path / 'run'}"),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "diverged: update" in done.stderr.splitlines()[-1]
    assert "--learning_rate" in done.stderr.splitlines()[-1]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["ticks"] < 3000
    wait_for(lambda: not ours(), 20)


def test_a_run_that_was_killed_goes_on_on_other_machines_and_fewer_of_them(tmp_path):
    flags = [*WORLD, "--inference_workers=2", "--emulated_inference_ms=20", "--epsilon_start=0", "--epsilon_end=0"]
    flags += ["--learners_on=auto", "--checkpoint_every_s=1", "--snapshot_dtype=bfloat16"]
    with started(1, 1, 1) as nodes:
        before = Run(tmp_path / "run", *flags, f"--cluster={nodes.address}")
        wait_for(lambda: before.saved() > 20 and {0, 1} <= before.acted(), 60)
        before.process.kill()
        before.process.communicate()
        wait_for(lambda: not ours(), 20)
        saved = before.saved()
        for node in nodes.all:
            nodes.remove(node)
        nodes.all = [nodes.add(3)]
        length = before.ticks() / 60 + 6
        after = Run(tmp_path / "run", "--resume", f"--duration_s={length}")
        summary, ticks, decisions, said = after.end()
        wait_for(lambda: not ours(), 20)
    assert f"with {saved} updates made" in said
    assert [(machine["inference_workers"], machine["learners"]) for machine in summary["machines"]] == [([0, 1], [0])]
    assert not summary["failures"]
    assert {0, 1} <= set(ticks["worker"][ticks["session"] == 1])
    updates = dict(np.load(tmp_path / "run" / "updates.npz"))
    assert updates["applied_version"].max() > saved + 20
    assert (np.diff(np.sort(updates["applied_version"])) == 1).all(), "an update is missing, or made twice"
    assert decisions["version"].max() > saved + 10, "who acts does not get what is learned"


def test_a_sweep_plays_its_runs_on_all_machines_and_goes_on_elsewhere_when_one_is_lost(nodes, tmp_path):
    out, third = tmp_path / "sweep", nodes.add(1)
    flags = [
        "--environment=toy/chain-0.9",
        "--delay=2",
        "--policy=random",
        "--max_ticks=6000",
        "--checkpoint_every_s=0.2",
    ]
    words = [*flags, "--grid=base", "--seeds=0-2", f"--out={out}", f"--cluster={nodes.address}"]
    sweep = subprocess.Popen(
        [sys.executable, str(ROOT / "launch" / "sweep.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: _runs_on(nodes, third) or sweep.poll() is not None, 60)
    nodes.kill(third)
    printed, said = sweep.communicate(timeout=120)
    nodes.remove(third)
    assert sweep.returncode == 0, said
    assert "its machine is lost; it goes on elsewhere" in said
    assert "on a cluster with" in said
    with open(out / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ticks"] for row in rows] == ["6000"] * 3
    assert "3 of 3" in printed


def _runs_on(nodes, node):
    """Whether a run of a sweep is being played there."""
    return [one for one in nodes.processes(node) if runs(one, "rtrl_jax.sweeps.child")]


def test_a_plan_counts_the_clusters_cores_and_measures_its_network(nodes, tmp_path):
    out = tmp_path / "plan.json"
    flags = [
        "--environment=gymnasium/CartPole-v1",
        "--inference_ms=70",
        "--learn_every=0",
        f"--cluster={nodes.address}",
    ]
    words = [sys.executable, str(ROOT / "launch" / "plan.py"), *flags, f"--out={out}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    plan = json.loads(out.read_text())
    assert plan["cores"] == len(os.sched_getaffinity(0)) + len(nodes.all)
    assert [machine["cores"] for machine in plan["machines"]] == [1] * len(nodes.all)
    slowest = max(machine["round_trip_p50_ms"] for machine in plan["machines"])
    assert 0.01 < slowest < 50
    assert plan["tau_theta"]["mean_ms"] == pytest.approx(70 + slowest)
    assert f"--cluster={nodes.address}" in plan["command"]
    assert "there and back" in done.stdout


def _children(pid):
    import psutil

    return psutil.Process(pid).children()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--cluster=127.0.0.1:1"], "no Ray cluster answers there"),
        (["--cluster=nonsense"], "no Ray cluster answers there"),
        (["--cluster=auto", "--interaction=sequential"], "leave out --cluster"),
        (["--cluster=auto", "--delay=1"], "belongs to the wall clock"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(launch, tmp_path, flags, says):
    found = launch(*WORLD, *flags, f"--run_dir={tmp_path / 'run'}")
    assert found.returncode == 2
    assert says in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_too_few_cores_and_another_version_are_said_in_one_line(launch, nodes, tmp_path):
    flags = [*WORLD, f"--cluster={nodes.address}", f"--run_dir={tmp_path / 'run'}"]
    found = launch(*flags, "--inference_workers=9")
    assert found.returncode == 2
    assert "this cluster has cores for" in found.stderr
    other = tmp_path / "other" / "flax-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: flax\nVersion: 0.0.1\n")
    paths = os.pathsep.join([str(other.parent), os.environ["PYTHONPATH"]])
    node = nodes.add(8, env_vars={"PYTHONPATH": paths})
    try:
        found = launch(*flags, "--inference_workers=2")
    finally:
        nodes.remove(node)
    assert found.returncode == 2
    assert "has flax 0.0.1, this one" in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_without_the_flag_nothing_of_ray_is_imported_and_none_is_needed(tmp_path):
    code = (
        "import sys; sys.modules['ray'] = None; import rtrl_jax; "
        "rtrl_jax.run(environment='toy/Chain-v0', max_ticks=20, learner_workers=0, display='none', "
        f"run_dir={str(tmp_path / 'run')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_without_ray_the_flag_says_what_to_install(tmp_path):
    code = (
        "import importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'ray' else find(name, *a); "
        "import rtrl_jax; rtrl_jax.run(environment='toy/Chain-v0', cluster='auto', display='none')"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "--cluster needs Ray: python -m pip install 'rtrl_jax[cluster]'" in found.stderr
