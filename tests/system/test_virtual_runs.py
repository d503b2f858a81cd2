"""Whole runs in virtual time, analysed from their folders; and a wall-clock run that virtual time repeats."""

import json

import numpy as np
import pytest

import rtrl_jax
from rtrl_jax.checkpoints import store
from rtrl_jax.replay import demonstrations

PLAY = {"environment": "gymnasium/MountainCar-v0", "rate_hz": 60.0, "display": "none", "checkpoint_every_s": 0.0}
LEARN = {"learn_start": 20, "epsilon_steps": 50}
LEARN_FIRST = {
    "learning_schedule": "asynchronous",
    "learning_latency_ms": "6",
}  # less than the half tick an inference leaves


def run(folder, **settings):
    """Returns (summary, ticks, decisions, updates)."""
    summary = rtrl_jax.run(**{**PLAY, **settings}, run_dir=str(folder))
    assert summary["failures"] == []
    assert summary["records_lost"] == 0
    assert summary["clock"] == "virtual"
    arrays = []
    for name in ("ticks", "decisions", "updates"):
        with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
            arrays.append({key: stored[key] for key in stored.files})
    return summary, *arrays


@pytest.mark.parametrize(
    "flags",
    [
        (
            "--environment=gymnasium/CartPole-v1 --inference_latency_ms=gamma:30,10 --inference_workers=3 "
            "--learning_latency_ms=normal:90,5 --learner_workers=2 --stagger=expected_time"
        ),
        "--environment=atari/Boxing --parameters=55K --delay=3 --max_ticks=150 --learn_every=8",
    ],
    ids=["asynchronous", "delay"],
)
def test_two_runs_with_one_seed_are_the_same_to_the_byte(launch, tmp_path, flags):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        common = ["--clock=virtual", "--max_ticks=1500", "--learn_start=20", "--epsilon_steps=30", "--display=none"]
        done = launch(*common, *flags.split(), f"--seed={seed}", f"--run_dir={tmp_path}/{name}")
        assert done.returncode == 0, done.stderr
    for kind in ("ticks", "decisions", "updates"):
        a, b, c = ((tmp_path / name / f"{kind}.npz").read_bytes() for name in "abc")
        assert a == b
        assert a != c
    with np.load(tmp_path / "a" / "updates.npz") as updates:
        assert len(updates["loss"]) > 5


def test_the_folder_is_that_of_any_run_and_its_flagfile_repeats_it(launch, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    done = launch("--delay=4", "--environment=gymnasium/CartPole-v1", "--max_ticks=400", f"--run_dir={first}")
    assert done.returncode == 0, done.stderr
    assert str(first) in done.stdout
    summary = json.loads((first / "summary.json").read_text())
    assert (summary["clock"], summary["ticks"], summary["checkpoints"]) == ("virtual", 400, 1)
    assert summary["measured_rate_hz"] == pytest.approx(summary["rate_hz"])
    assert list(first.glob("events.*"))
    done = launch(f"--flagfile={first}/flags.txt", f"--run_dir={again}")
    assert done.returncode == 0, done.stderr
    assert (first / "ticks.npz").read_bytes() == (again / "ticks.npz").read_bytes()
    done = launch("--resume", f"--run_dir={first}", "--max_ticks=500")
    assert done.returncode == 0, done.stderr
    assert json.loads((first / "summary.json").read_text())["ticks"] == 500


@pytest.mark.parametrize("delay", [1, 3, 8, 47])
def test_with_delay_every_decision_acts_exactly_so_much_later(tmp_path, delay):
    summary, ticks, _, _ = run(tmp_path / "run", delay=delay, max_ticks=1200, **LEARN)
    acted = ~ticks["is_default"]
    assert (ticks["tick"][acted] - ticks["obs_tick"][acted] == delay).all()
    # From its first observation on, every observation of an episode is acted on.
    assert (acted == (ticks["tick"] - ticks["episode_start"] >= delay)).all()
    assert summary["inference"]["workers"] == delay


@pytest.mark.parametrize("delay", [1, 3, 8])
@pytest.mark.parametrize("order", ["sequential", "sequential_learn_first"])
def test_a_sequential_agent_acts_once_in_so_many_ticks(tmp_path, delay, order):
    settings = {"delay": delay, "interaction": order, "max_ticks": 190, "environment": "gymnasium/Acrobot-v1"}
    settings |= LEARN_FIRST if order == "sequential_learn_first" else {}
    _, ticks, _, _ = run(tmp_path / "run", **settings, **LEARN)
    acted = ~ticks["is_default"]
    assert (ticks["tick"][acted] - ticks["obs_tick"][acted] == delay).all()
    assert ticks["is_default"][1:].mean() == pytest.approx((delay - 1) / delay, abs=0.01)


def test_learning_first_is_another_run_at_the_same_pace(tmp_path):
    """As the paper's flagfiles have the two: an update after each action, which the next decision knows of or does not."""
    settings = {"delay": 3, "learn_every": 1, "learn_per": "decision", "learn_start": 2, "max_ticks": 190}
    settings["environment"] = "gymnasium/Acrobot-v1"
    found = {}
    for order, more in (("sequential", {}), ("sequential_learn_first", LEARN_FIRST)):
        _, ticks, decisions, updates = run(tmp_path / order, **settings, **more, interaction=order)
        assert (np.diff(ticks["tick"][~ticks["is_default"]]) == 3).all()
        # How many updates had been made, or were due, when a decision's observation came, less those that it was made with.
        due = np.searchsorted(updates["start_ns"], ticks["boundary_ns"][decisions["obs_tick"]], side="right")
        found[order] = set((due - decisions["version"])[10:])
    assert found == {"sequential": {1}, "sequential_learn_first": {0}}


def test_an_update_in_every_n_ticks_that_takes_none(tmp_path):
    _, ticks, decisions, updates = run(tmp_path / "run", delay=3, learn_every=5, max_ticks=1000, **LEARN)
    ends = updates["end_ns"]
    assert (updates["start_ns"] == ends).all()
    due = np.searchsorted(ticks["boundary_ns"], ends)
    assert (ticks["boundary_ns"][due] == ends).all()
    assert (np.diff(due) == 5).all()
    assert len(updates["loss"]) == (999 - due[0]) // 5 + 1
    # An inference uses the parameters there were when it began: at the boundary of an update, those before it.
    before = np.searchsorted(ends, decisions["start_ns"], side="left")
    assert (decisions["version"] == before).all()


def test_networks_on_a_card(tmp_path):
    _, _, decisions, updates = run(tmp_path / "run", delay=3, device="cpu:0", learn_every=50, max_ticks=200, **LEARN)
    assert len(updates["loss"]) > 1
    assert decisions["version"].max() > 0


def test_learners_that_take_their_time_apply_in_turn(tmp_path):
    settings = {"clock": "virtual", "learner_workers": "3", "learning_latency_ms": "180", "learn_every": 4}
    summary, _, _, updates = run(tmp_path / "run", **settings, max_ticks=1500, **LEARN)
    assert (updates["learner"] == np.arange(len(updates["loss"])) % 3).all()
    assert (updates["computed_ns"] - updates["start_ns"] == 180_000_000).all()
    assert summary["learning"]["delay_mean"] == pytest.approx(2, abs=0.05)
    assert summary["learning"]["updates_per_s"] == pytest.approx(15, rel=0.02)  # 180 ms are 10.8 ticks: three keep up


def test_a_sequential_agent_that_learns_asynchronously_blocks_itself(tmp_path):
    settings = {"clock": "virtual", "interaction": "sequential", "learn_every": 1, "epsilon_end": 0.0}
    costs = {"inference_latency_ms": "25", "learning_latency_ms": "50", "epsilon_start": 0.0, "learn_start": 2}
    _, _, decisions, updates = run(tmp_path / "run", **settings, **costs, max_ticks=190)
    assert np.diff(updates["start_ns"]).min() >= 75_000_000
    assert np.diff(decisions["start_ns"])[5:].min() >= 75_000_000


def test_learning_is_off_with_learn_every_0_and_with_a_baseline(tmp_path):
    for number, settings in enumerate(({"learn_every": 0}, {"policy": "random"}, {"policy": "noop"})):
        summary, ticks, _, updates = run(tmp_path / str(number), **settings, delay=2, max_ticks=500)
        assert summary["learning"]["updates"] == len(updates["loss"]) == 0
        chosen = set(ticks["action"][~ticks["is_default"]])
        assert chosen == ({0} if settings.get("policy") == "noop" else {0, 1, 2})


def test_auto_takes_as_many_workers_as_the_stated_time_needs(tmp_path):
    for number, (text, workers) in enumerate([("70", 5), ("uniform:17,49", 3), ("0", 1)]):  # a tick is 16.7 ms
        settings = {"clock": "virtual", "inference_latency_ms": text, "inference_workers": "auto"}
        summary, *_ = run(tmp_path / str(number), **settings, policy="random", max_ticks=100)
        assert summary["inference"]["workers"] == workers


def test_auto_takes_as_many_learners_as_the_stated_time_needs(tmp_path):
    for number, (text, learners) in enumerate([("180", 3), ("60", 1)]):  # an update in every 66.7 ms
        settings = {"clock": "virtual", "learning_latency_ms": text, "learner_workers": "auto", "learn_every": 4}
        summary, *_ = run(tmp_path / str(number), **settings, max_ticks=100)
        assert summary["learning"]["workers"] == learners


def test_what_was_recorded_before_an_environment_died_is_kept(tmp_path):
    import gymnasium

    class Mortal(gymnasium.Env):
        observation_space, action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32), gymnasium.spaces.Discrete(2)
        steps = 0

        def reset(self, seed=None, options=None):
            return np.zeros(1, np.float32), {}

        def step(self, action):
            self.steps += 1
            if self.steps == 100:
                raise ArithmeticError("no more")
            return np.zeros(1, np.float32), 1.0, False, False, {}

    gymnasium.register("Mortal-v0", Mortal)
    with pytest.raises(RuntimeError, match=r"died: ArithmeticError: no more; what was recorded is in"):
        run(tmp_path / "run", environment="gymnasium/Mortal-v0", delay=2, policy="random", max_ticks=500)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["ticks"] == 100
    assert "Traceback" in summary["failures"][0]["traceback"]


def test_measured_times_are_those_of_this_machine(tmp_path):
    settings = {"clock": "virtual", "inference_latency_ms": "measured", "learning_latency_ms": "measured"}
    summary, _, _, updates = run(tmp_path / "run", **settings, max_ticks=300, **LEARN)
    assert 0 < summary["inference"]["tau_network_ms"] < 50
    assert (updates["computed_ns"] > updates["start_ns"]).all()


# Wall clock against virtual time. Inferences of 2.1 to 2.4 ticks: 12 ms pass before the boundary at which they could act.
RECORD = {"environment": "gymnasium/MountainCar-v0", "rate_hz": 50.0, "duration_s": 3.0, "learner_workers": "0"}
WORKERS = {"inference_workers": "4", "epsilon_start": 0.0, "epsilon_end": 0.0}
# Then the tolerance is none: who acted when is the same in every tick until the machine first holds somebody up for so long:
HELD_UP_NS = 10_000_000
ENOUGH = 50  # ticks before that


def _first_disturbed(folder, ticks) -> int:
    """The first tick from which on a worker began late, or the environment was late."""
    with np.load(folder / "decisions.npz") as decisions:
        waited = decisions["start_ns"] - ticks["published_ns"][decisions["obs_tick"]]
        held_up = waited + decisions["registered_ns"] - decisions["end_ns"] > HELD_UP_NS
        first = decisions["obs_tick"][held_up].min(initial=len(ticks["tick"]) - 5)  # the last are cut off
    late = ticks["tick"][ticks["lateness_ns"] > HELD_UP_NS].min(initial=len(ticks["tick"]))
    return int(min(first, late))


def _first_difference(wall, virtual, names) -> int:
    length = min(len(wall["tick"]), len(virtual["tick"]))
    same = np.all([wall[name][:length] == virtual[name][:length] for name in names], axis=0)
    return length if same.all() else int(np.argmin(same))


def test_virtual_time_repeats_a_wall_clock_run_from_its_latencies(tmp_path):
    common = {**RECORD, **WORKERS, "playout": "4"}
    emulated = {"emulated_inference_ms": "uniform:42,48", "workers_per_process": 4}
    for attempt in range(4):
        recorded = tmp_path / f"wall-{attempt}"
        rtrl_jax.run(**common, **emulated, display="none", checkpoint_every_s=0.0, run_dir=str(recorded))
        with np.load(recorded / "ticks.npz") as stored:
            wall = {key: stored[key] for key in stored.files}
        # Two workers that became idle within one tick may be served in the other order: then their times are swapped too.
        until = _first_disturbed(recorded, wall)
        if until < ENOUGH:
            continue
        replay = {"clock": "virtual", "inference_latency_ms": f"trace:{recorded}"}
        _, virtual, _, _ = run(tmp_path / f"virtual-{attempt}", **common, **replay)
        swapped = _first_difference(wall, virtual, ["worker"])
        if swapped < ENOUGH:
            continue
        for name in ("obs_tick", "is_default", "action", "reward"):
            assert (wall[name][: min(until, swapped)] == virtual[name][: min(until, swapped)]).all(), name
        return
    pytest.skip("the machine is too busy to record a wall-clock run that is not held up")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--inference_latency_ms=5"], "belongs to --clock=virtual"),
        (["--clock=virtual", "--inference_latency_ms=soon"], "milliseconds"),
        (["--clock=virtual", "--inference_latency_ms=5+outlier:3,60"], "milliseconds"),
        (["--clock=virtual", "--inference_latency_ms=trace:/no/such/run"], "holds no run to replay"),
        (["--clock=virtual", "--learning_schedule=every:0"], "every:N"),
        (["--clock=virtual", "--emulated_inference_ms=5"], "use --inference_latency_ms"),
        (["--delay=0"], "between 1 and 4096"),
        (["--delay=8", "--inference_workers=3"], "leave it out"),
        (["--delay=8", "--accounting=reference", "--learn_per=tick"], "leave out --learn_per"),
        (["--delay=8", "--learning_latency_ms=5"], "asynchronous"),
    ],
)
def test_bad_input_is_one_line_and_status_2(launch, tmp_path, flags, says):
    done = launch("--environment=gymnasium/CartPole-v1", *flags, f"--run_dir={tmp_path}/run")
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_ctrl_c_ends_a_run_with_everything_saved(tmp_path):
    import signal
    import subprocess
    import time

    from conftest import command

    folder = tmp_path / "run"
    flags = ["--delay=2", "--environment=gymnasium/CartPole-v1", "--max_ticks=100000000", "--replay_capacity=5000"]
    process = subprocess.Popen(command(*flags, "--display=none", f"--run_dir={folder}"), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (folder / "ticks.raw").exists() or not (folder / "ticks.raw").stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0, process.stderr.read()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["ended_by"] == "SIGINT"
    with np.load(folder / "ticks.npz") as ticks:
        assert len(ticks["tick"]) == summary["ticks"] > 0
    assert summary["checkpoints"] == 1
    assert summary["records_lost"] == 0


@pytest.mark.parametrize(
    ("seconds", "rate_hz", "ticks"), [(1, 60, 60), (2, 60, 120), (10, 60, 600), (1, 59.7275, 60), (3, 7, 21)]
)
def test_a_duration_is_so_many_ticks_and_not_one_more(tmp_path, seconds, rate_hz, ticks):
    play = {"environment": "toy/chain-0.9", "policy": "noop", "clock": "virtual", "display": "none"}
    summary = rtrl_jax.run(**play, rate_hz=rate_hz, duration_s=seconds, run_dir=str(tmp_path / "run"))
    assert summary["ticks"] == ticks


def test_rainbow_learns_from_demonstrations_by_priority_and_over_one_step_too(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "shown.npz"
    frames = rng.integers(256, size=(40, 84, 84, 1), dtype=np.uint8)
    ends = np.arange(40) % 20 == 19
    demonstrations.write(path, frames, rng.integers(6, size=40), rng.normal(size=40), ends)
    game = {"environment": "gameboy/stacks", "network": "nature", "width": 1 / 16, "delay": 2, "max_ticks": 60}
    learn = {"learn_start": 20, "agent": "rainbow", "one_step_loss": True, "pretrain_steps": 10, "seed": 1}
    _, _, _, updates = run(tmp_path / "run", **game, **learn, demonstrations=str(path), checkpoint_every_s=100.0)
    assert len(updates["loss"]) > 15
    assert np.isfinite(updates["loss"]).all()
    arrays = store.read_arrays(store.find(tmp_path / "run"))
    shown = arrays["demonstration_priorities"]
    assert (shown > 0).sum() == 36, "of each demonstrated act that the delay leaves"
    assert len(np.unique(shown[shown > 0])) > 20, "those that were drawn have errors of their own"


def test_encounters_are_met_in_any_order_and_cut_off(tmp_path):
    game = {"environment": "gameboy/duel-battles", "rate_hz": None, "frame_skip": 12, "delay": 1, "policy": "random"}
    how = {"encounters": "random", "episode_ticks": 10, "max_ticks": 100, "seed": 3}
    _, ticks, *_ = run(tmp_path / "run", **game, **how)
    ends = np.flatnonzero(ticks["truncated"])
    assert set(np.diff(ends)) == {11}, "ten ticks, and the one that begins the next"
    assert not ticks["terminated"].any()
    assert len(set(ticks["encounter"][ends])) > 4


def test_an_action_gap_and_gains_change_what_is_learned(tmp_path):
    losses = {}
    for name, how in {"none": {}, "gap": {"action_gap": 0.9}, "gains": {"reward_clipping": "gains"}}.items():
        learn = {"learn_start": 20, "learn_every": 4, "epsilon_end": 1.0, "delay": 1, "max_ticks": 80}
        *_, updates = run(tmp_path / name, **how, **learn)
        losses[name] = updates["loss"]
    assert np.isfinite(losses["gap"]).all()
    assert (losses["gap"][1:] != losses["none"][1:]).all()
    assert losses["gains"].max() < 0.1 * losses["none"].min(), "every reward of it is −1"
