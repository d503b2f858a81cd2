"""What updates and ε are counted by: ticks, decisions that acted, or updates; on both clocks."""

import json

import numpy as np
import pytest

import rtrl_jax

# An episode of MountainCar's has 200 steps whatever is done: who acts when is the same whatever has been learned.
PLAY = {"environment": "gymnasium/MountainCar-v0", "rate_hz": 50.0, "display": "none", "checkpoint_every_s": 0.0}
SLOW = {"inference_latency_ms": "73", "clock": "virtual"}  # 3.65 ticks


def records(folder):
    arrays = []
    for name in ("ticks", "decisions", "updates"):
        with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
            arrays.append({key: stored[key] for key in stored.files})
    return arrays


def run(folder, **settings):
    """Returns (ticks, decisions, updates)."""
    summary = rtrl_jax.run(**{**PLAY, **settings}, run_dir=str(folder))
    assert summary["failures"] == []
    return records(folder)


def counted(ticks, instants_ns):
    """How many decisions had acted at these instants."""
    return ticks["decisions"][np.searchsorted(ticks["boundary_ns"], instants_ns, side="right") - 1]


WAYS = {
    "delay": {"delay": 3},
    "delay, sequential": {"delay": 5, "interaction": "sequential"},
    "sequential": SLOW | {"interaction": "sequential"},
    "learn first": SLOW | {"interaction": "sequential_learn_first"},
    "too few workers": SLOW | {"inference_workers": "2"},
    "scheduled": SLOW | {"interaction": "sequential", "learning_schedule": "every:3", "learn_every": 3},
    "Algorithm 2": SLOW | {"inference_workers": "2", "stagger": "expected_time"},
}


@pytest.mark.parametrize("way", WAYS)
def test_an_update_for_so_many_decisions_that_acted(tmp_path, way):
    settings = {"learn_every": 3, "learn_per": "decision", "learn_start": 10, "max_ticks": 900, "epsilon_steps": 20}
    ticks, _, updates = run(tmp_path / "run", **settings | WAYS[way])
    assert (ticks["decisions"] == np.cumsum(~ticks["is_default"])).all()
    made = counted(ticks, updates["start_ns"])
    assert made[0] >= 10
    assert (np.diff(made) == 3).all()
    assert ticks["decisions"][-1] - made[-1] <= 3  # the last one may have acted at the very end


def test_by_ticks_a_slow_agent_makes_as_many_updates_as_a_quick_one(tmp_path):
    settings = {"learn_every": 4, "learn_start": 5, "max_ticks": 600, "interaction": "sequential"}
    for delay in (1, 6):
        ticks, _, updates = run(tmp_path / str(delay), **settings, delay=delay)
        assert (np.diff(np.searchsorted(ticks["boundary_ns"], updates["start_ns"])) == 4).all()
        assert len(updates["loss"]) > 130


@pytest.mark.parametrize("per", ["decision", "tick", "update"])
def test_epsilon_falls_by_what_it_says(tmp_path, per):
    settings = {"delay": 6, "interaction": "sequential", "learn_every": 5, "learn_start": 8, "max_ticks": 900}
    falls = {"epsilon_per": per, "epsilon_end": 0.0, "epsilon_steps": 60}
    ticks, decisions, _ = run(tmp_path / "run", **settings, **falls)
    at = {
        "decision": ticks["decisions"][decisions["obs_tick"]],
        "tick": decisions["obs_tick"],
        "update": decisions["version"],
    }
    assert decisions["greedy"][at[per] >= 60].all()
    # A line from 1 to 0: never more than three deviations off.
    epsilon = np.clip(1 - at[per] / 60, 0, 1)
    explored, spread = (~decisions["greedy"]).cumsum(), np.sqrt((epsilon * (1 - epsilon)).cumsum())
    assert (abs(explored - epsilon.cumsum()) <= 3 * spread + 1).all()


def test_without_a_unit_exploration_falls_by_decision_and_so_alike_however_learning_goes(tmp_path):
    """By update the parallel baseline, which makes N_L times fewer, explored N_L times as long."""
    settings = {"delay": 2, "learning_schedule": "asynchronous", "learner_workers": "8", "max_ticks": 700}
    falls = {"learn_start": 10, "learn_every": 1, "epsilon_steps": 300, "epsilon_end": 0.0}
    explored = {}
    for learning in ("round_robin", "parallel"):
        _, decisions, updates = run(tmp_path / learning, **settings, **falls, learning=learning)
        explored[learning] = ~decisions["greedy"]
        assert len(updates["loss"]) > (600 if learning == "round_robin" else 70)
    assert (explored["parallel"] == explored["round_robin"]).all()
    assert 100 < explored["parallel"].sum() < 200


def test_learners_are_sized_by_how_often_decisions_come(tmp_path):
    settings = SLOW | {"learning_latency_ms": "150", "learner_workers": "auto", "learn_every": 1, "max_ticks": 60}
    for per, workers, learners in (("tick", 1, 8), ("decision", 1, 2), ("decision", 4, 8)):
        folder = tmp_path / f"{per}{workers}"
        summary = rtrl_jax.run(**PLAY, **settings, learn_per=per, inference_workers=str(workers), run_dir=str(folder))
        assert summary["learning"]["workers"] == learners


def test_on_the_wall_clock_too(launch, tmp_path):
    """The sequential agent, resumed once: decisions go on being counted, and updates keep to them."""
    flags = ["--environment=gymnasium/CartPole-v1", "--rate_hz=60", "--interaction=sequential", "--learn_start=8"]
    flags += ["--learn_per=decision", "--learn_every=2", "--emulated_inference_ms=40", "--epsilon_start=0"]
    done = launch(*flags, "--max_ticks=180", f"--run_dir={tmp_path}/run")
    assert done.returncode == 0, done.stderr
    done = launch("--resume", f"--run_dir={tmp_path}/run", "--max_ticks=300")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["sessions"] == 2
    ticks, _, updates = records(tmp_path / "run")
    assert (ticks["decisions"] == np.cumsum(~ticks["is_default"])).all()
    made = counted(ticks, updates["start_ns"])
    assert len(made) == pytest.approx((ticks["decisions"][-1] - made[0]) / 2, abs=2)
    assert (np.diff(made) >= 1).all()
