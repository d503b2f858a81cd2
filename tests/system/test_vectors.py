"""Runs whose actions are vectors, in virtual time: records, replay, what is told, learning, evaluation; and what is refused."""

import json
import os

import numpy as np
import pytest
from conftest import ROOT
from system.test_evaluate import evaluate
from system.test_late import told_at

import rtrl_jax
from rtrl_jax import UserError, environments
from rtrl_jax.agents import sac
from rtrl_jax.agents.variant import SOFT, VALUES, for_actions, variant_of
from rtrl_jax.checkpoints import load_policy, store
from rtrl_jax.evaluation.policies import batched_actions, model_of
from rtrl_jax.pending import Seen
from rtrl_jax.settings import Settings
from rtrl_jax.telemetry.recorder import read_back

PENDULUM, LOCKS = "gymnasium/vector_worlds:SavedPendulum-v0", "gymnasium/vector_worlds:Locks-v0"
AIM = "gymnasium/vector_worlds:Aim-v0"
PLAY = {
    "environment": PENDULUM,
    "rate_hz": 20,
    "max_ticks": 260,
    "learn_start": 40,
    "learn_every": 4,
    "width": 1 / 8,
    "batch_size": 16,
    "seed": 3,
    "display": "none",
    "trace_seconds": 5,
}
SLOW = {"clock": "virtual", "inference_latency_ms": "gamma:125,40", "learning_latency_ms": "gamma:150,40"}
CASES = {
    "late, two learners": {"pending": "late", "inference_workers": "auto", "learner_workers": "2", **SLOW},
    "history, repeat": {"pending": "history", "inference_workers": "3", "default_action": "repeat", **SLOW},
    "late, sequential": {"pending": "late", "interaction": "sequential", "delay": 4, "default_action": "0.5"},
    "prioritised, n steps": {"delay": 2, "prioritised": True, "n_steps": 2, "epsilon_start": 1.0},
    "normalised, reflex": {"delay": 3, "pending": "late", "reflex": True, "normalise_observations": True},
    "choices, late": {"environment": LOCKS, "pending": "late", "delay": 3, "epsilon_steps": 60},
}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A run of each case, played once: (its folder, its summary)."""
    runs = {}

    def play(name):
        if name not in runs:
            folder = tmp_path_factory.mktemp("runs") / "run"
            runs[name] = folder, rtrl_jax.run(**PLAY | CASES[name], run_dir=str(folder))
        return runs[name]

    return play


@pytest.mark.parametrize("name", CASES)
def test_what_is_learned_from_is_what_acted(played, name):
    run, summary = played(name)
    assert summary["learning"]["updates"] >= 5
    assert summary["learning"]["agent"] == ("dqn" if name == "choices, late" else "sac")
    ticks, decisions = (dict(np.load(run / f"{kind}.npz")) for kind in ("ticks", "decisions"))
    size, kind = (2, np.int32) if name == "choices, late" else (1, np.float32)
    for records in (ticks, decisions):
        assert (records["action"].shape[1:], records["action"].dtype) == ((size,), kind)
    acted, default = decisions["status"] == 0, ticks["is_default"]
    assert (ticks["action"][decisions["apply_tick"][acted]] == decisions["action"][acted]).all()
    assert len(np.unique(decisions["action"][acted], axis=0)) > (5 if kind == np.int32 else 50)
    beta = {"late, sequential": 0.5, "choices, late": [0, 1]}.get(name, 0.0)
    assert default.any()
    if "repeat" in name:
        begins = ticks["tick"] == ticks["episode_start"]
        repeats = np.flatnonzero(default & ~begins)
        assert (ticks["action"][repeats] == ticks["action"][repeats - 1]).all()
        assert ticks["action"][repeats].any()
        assert (ticks["action"][begins] == 0).all()
    else:
        assert (ticks["action"][default] == beta).all()
    checkpoint = store.find(run)
    ((file, *_),) = store.read_manifest(checkpoint)["replay"]
    with np.load(checkpoint.parent / "replay" / file) as stored:
        acts = stored["acts"]
    assert len(acts) > 30
    assert (acts["action"] == ticks["action"][acts["apply_tick"]]).all()
    pending = model_of(store.read_manifest(checkpoint), _spec(name)).pending
    for act, following in zip(acts, [*acts[1:], None], strict=True) if pending else ():
        expected = told_at(ticks, pending, int(act["obs_tick"]), int(act["apply_tick"]) - 1)
        assert np.array_equal(act["told"], expected, equal_nan=True)
        if following is not None and not act["ended"]:
            assert np.array_equal(act["next_told"], following["told"], equal_nan=True)
    assert pending is None or np.isfinite(acts["told"]).any()


def _spec(name):
    world = environments.make(CASES[name].get("environment", PENDULUM), rate_hz=20)
    world.close()
    return world.spec


def test_a_decision_is_what_the_network_answers_to_what_it_was_told(played):
    """With no learning after it: the last parameters, asked for the mean, lie where the policy draws about."""
    run, _ = played("late, sequential")
    policy = load_policy(run)
    model = model_of(policy.manifest, _spec("late, sequential"))
    choose = batched_actions(policy, model, 4)
    told, observations = model.pending.nothing(4), np.zeros((4, 3), np.float32)
    told[1:, -1] = [[-2], [0.5], [2]]
    chosen = choose(Seen(observations, told), np.zeros(4, np.uint32))
    assert chosen.shape == (4, 1)
    assert len(np.unique(chosen)) == 4
    assert (np.abs(chosen) <= 2).all()


@pytest.mark.parametrize("told", [{}, {"pending": "late"}], ids=str)
def test_a_run_draws_from_the_policy_within_its_bounds_and_evaluation_does_not(tmp_path, told):
    """All that is seen is the same, and nothing is learned: so all that differs was drawn."""
    still = {"environment": AIM, "environment_kwargs": {"still": True}, "delay": 1, "learner_workers": "0"}
    run = tmp_path / "run"
    rtrl_jax.run(**PLAY | still | told, run_dir=str(run))
    decisions = dict(np.load(run / "decisions.npz"))
    drawn = decisions["action"][decisions["status"] == 0]
    assert decisions["greedy"].all()
    assert len(np.unique(drawn, axis=0)) > 0.95 * len(drawn)
    assert ((drawn >= [0, -3]) & (drawn <= [4, 1])).all()
    assert (np.ptp(drawn, axis=0) > 3).all(), "at first nearly all is tried"
    assert drawn.mean(axis=0) == pytest.approx([2, -1], abs=0.6)
    policy, world = load_policy(run), environments.make(AIM, kwargs={"still": True})
    world.close()
    model = model_of(policy.manifest, world.spec)
    seen = np.zeros((4, 1), np.float32)
    observations = Seen(seen, model.pending.nothing(4)) if told else seen
    assert len(np.unique(batched_actions(policy, model, 4)(observations, np.arange(4, dtype=np.uint32)), axis=0)) == 1


def test_it_learns_which_action_is_best(tmp_path):
    """Each number of the action in its own place, by its own bounds."""
    learning = {"learning_rate": 3e-3, "batch_size": 64, "learn_every": 1, "target_entropy": -4.0, "gamma": 0.0}
    run = tmp_path / "run"
    rtrl_jax.run(**PLAY | learning | {"environment": AIM, "delay": 1, "max_ticks": 1000}, run_dir=str(run))
    world = environments.make(AIM)
    world.close()
    policy, seen = load_policy(run), np.float32([[-0.7], [0.0], [0.7]])
    chosen = batched_actions(policy, model_of(policy.manifest, world.spec), 3)(seen, np.zeros(3, np.uint32))
    assert chosen == pytest.approx(np.stack([[2 + x, -1 - 1.5 * x] for x in seen[:, 0]]), abs=0.35)


def test_the_target_moves_in_every_update(played):
    run, summary = played("late, two learners")
    manifest = store.read_manifest(store.find(run))
    assert manifest["target_version"] == manifest["updates"] == summary["learning"]["updates"]


def test_the_target_moves_by_its_rate(tmp_path):
    """After one update, beside what the same seed begins with."""
    found = []
    for learners in ("0", "1"):
        once = {"learner_workers": learners, "learn_every": 10**6, "target_rate": 0.1, "delay": 1, "max_ticks": 60}
        rtrl_jax.run(**PLAY | once, run_dir=str(tmp_path / learners))
        found.append(store.read_leaves(store.find(tmp_path / learners)))
    (before, after), updates = found, store.read_manifest(store.find(tmp_path / "1"))["updates"]
    assert updates == 1
    for first, moved, target in zip(before["parameters"], after["parameters"], after["target"], strict=True):
        assert np.allclose(target - first, 0.1 * (moved - first), atol=1e-6)
    assert any(
        np.abs(target - first).max() > 1e-5 for first, target in zip(before["parameters"], after["target"], strict=True)
    )


def test_a_killed_run_s_records_know_their_actions(played, tmp_path):
    run, _ = played("choices, late")
    whole = read_back(run)
    (tmp_path / "action.json").write_text(json.dumps({"dtype": "<i4", "shape": [2]}))
    for kind, rows in whole.items():
        (tmp_path / f"{kind}.raw").write_bytes(rows.tobytes() + b"half a row")
    again = read_back(tmp_path)
    assert all(again[kind].tobytes() == whole[kind].tobytes() for kind in whole)


def test_evaluation(played, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    run, _ = played("late, two learners")
    for number, flags in enumerate(
        (
            [f"--checkpoint={run}", "--delay=3"],
            [f"--environments={PENDULUM}", "--rate_hz=20", "--policy=controls"],
            [f"--environments={LOCKS}", "--policy=noop", "--default_action=2,1"],
        )
    ):
        done = evaluate(*flags, "--episodes=3", f"--out={tmp_path / str(number)}")
        assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "0" / "summary.json").read_text())
    assert summary["rows"][0]["mean"] < 0
    assert summary["rows"][0]["inaction"] == pytest.approx(2 / 70, abs=0.01)
    rows = json.loads((tmp_path / "1" / "summary.json").read_text())["rows"]
    assert sorted((row["policy"], row["action_every"]) for row in rows) == [("noop", 1), ("random", 1), ("random", 4)]
    refused = evaluate(f"--environments={PENDULUM}", "--rate_hz=20", "--policy=constant:1")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert (
        "actions of 1 real number (-2 to 2): give --policy=noop and that action as --default_action" in refused.stderr
    )


REAL, MANY = (
    _spec("late, two learners").actions,
    _spec("choices, late").actions._replace(low=(0.0,) * 9, high=(9.0,) * 9),
)


@pytest.mark.parametrize(
    ("given", "actions", "says"),
    [
        ({"agent": "dqn"}, REAL, "--agent=dqn has values for a list of actions, and those of it are vectors of 1 real"),
        ({"agent": "sac"}, 4, "--agent=sac is for vectors of real numbers, and the actions of it are a choice"),
        ({"agent": "sac"}, MANY, "are a choice"),
        ({}, MANY, "it has 1,000,000,000 combinations of actions"),
        ({"one_step_loss": True, "n_steps": 3}, REAL, "--one_step_loss is a part of agents of values"),
        ({"noisy": True}, REAL, "--noisy is a part of agents of values"),
    ],
)
def test_an_agent_that_does_not_fit_the_actions(given, actions, says):
    with pytest.raises(UserError, match=says.replace("(", r"\(")):
        for_actions(Settings(**given), actions, "it")


def test_sac_is_made_with_the_target_entropy_that_is_asked_for(monkeypatch):
    monkeypatch.setattr(sac, "make", lambda apply, *given: given)
    assert variant_of(Settings(agent="sac", target_entropy=-3.0), REAL).make(None) == (REAL, -3.0)


def test_numbers_are_the_agent_s_unless_given():
    soft, values = for_actions(Settings(), REAL, "it"), for_actions(Settings(batch_size=3), 4, "it")
    assert (soft.agent, soft.gradient_clip, soft.epsilons) == ("sac", None, (0.0, 0.0))
    assert {name: getattr(soft, name) for name in SOFT} == SOFT
    assert (values.agent, {name: getattr(values, name) for name in VALUES}) == ("dqn", VALUES | {"batch_size": 3})
    assert for_actions(soft, REAL, "it") == soft
    assert for_actions(Settings(policy="random"), MANY, "it").agent == "dqn"  # which learns nothing
