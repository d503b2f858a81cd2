"""Agents that are told what they have done: a run's replay, decisions and evaluation; and agents that hold what they decide."""

import json

import jax
import numpy as np
import pytest
from system.test_evaluate import evaluate

import rtrl_jax
from rtrl_jax import environments
from rtrl_jax.board.records import inference_ns
from rtrl_jax.checkpoints import load_policy, store
from rtrl_jax.evaluation.policies import model_of
from rtrl_jax.pending import Seen

POLE = {
    "environment": "gymnasium/CartPole-v1",
    "rate_hz": 50,
    "max_ticks": 400,
    "learn_start": 40,
    "learn_every": 8,
    "epsilon_steps": 60,
    "seed": 3,
    "display": "none",
}
GAMMA = {"clock": "virtual", "inference_latency_ms": "gamma:50,20"}
CASES = {
    "history": {"pending": "history", "inference_workers": "4", **GAMMA},
    "late": {"pending": "late", "inference_workers": "auto", **GAMMA},
    "late, repeat": {"pending": "late", "inference_workers": "3", "default_action": "repeat", **GAMMA},
    "late, Algorithm 2": {"pending": "late", "inference_workers": "4", "stagger": "expected_time", **GAMMA},
    "late, sequential": {"pending": "late", "interaction": "sequential", "delay": 4},
    "late, held": {"pending": "late", "delay": 4, "action_hold": 2},
    "reflex": {"pending": "late", "delay": 4, "reflex": True, "frame_stack": 2},
    "reflex, sequential": {"pending": "late", "delay": 3, "reflex": True, "interaction": "sequential"},
    "late, long": {"pending": "late", "delay": 9, "pending_length": 3, "pending_encoding": "counts"},
}


def told_at(ticks, pending, obs_tick, newest):
    """What is told, by the record of what acted."""
    first, last = pending.span(obs_tick, newest, int(ticks["episode_start"][obs_tick]))
    return pending.padded(ticks["action"][first : last + 1].tolist()).tolist()


def kept_by(run):
    """(its acts, the frames of the first of them on, the model, its leaves)"""
    checkpoint = store.find(run)
    policy, manifest = load_policy(checkpoint), store.read_manifest(checkpoint)
    ((name, *_),) = manifest["replay"]
    with np.load(checkpoint.parent / "replay" / name) as stored:
        acts, frames = stored["acts"], stored["frames"]
    world = environments.make(manifest["environment"], rate_hz=50)
    model = model_of(manifest, world.spec)
    world.close()
    return acts, frames, model, policy.leaves


def assert_newest(acts, frames):
    """What a reflex sees is the observation of the tick before it acts, from which, with others under way, one decides later.

    Every tick's is kept, in their order.
    """
    later = acts["newest"][:, -1] - acts["frames"][:, -1]
    np.testing.assert_array_equal(later, acts["apply_tick"] - 1 - acts["obs_tick"])
    first = min(int(acts[name].min()) for name in ("frames", "newest"))
    by_tick = {int(act["obs_tick"]): frames[act["frames"] - first] for act in acts}
    seen_later = [act for act in acts if int(act["apply_tick"]) - 1 in by_tick]
    for act in seen_later:
        np.testing.assert_array_equal(frames[act["newest"] - first], by_tick[int(act["apply_tick"]) - 1])
    goes_on = acts["ended"][:-1] == 0
    np.testing.assert_array_equal(acts["next_newest"][:-1][goes_on], acts["newest"][1:][goes_on])
    np.testing.assert_array_equal(acts["next_newest"][acts["ended"] > 0], acts["next_frames"][acts["ended"] > 0])


@pytest.mark.parametrize("how", CASES.values(), ids=CASES)
def test_what_is_learned_from_is_what_acted(tmp_path, how):
    summary = rtrl_jax.run(**POLE, **how, run_dir=str(tmp_path / "run"))
    assert summary["learning"]["updates"] >= 5
    ticks = np.load(tmp_path / "run" / "ticks.npz")
    acts, frames, model, _ = kept_by(tmp_path / "run")
    ticks, pending = {name: ticks[name] for name in ("action", "episode_start")}, model.pending
    assert len(acts) > 40
    for act, following in zip(acts, [*acts[1:], None], strict=True):
        obs_tick, apply_tick = int(act["obs_tick"]), int(act["apply_tick"])
        assert act["told"].tolist() == told_at(ticks, pending, obs_tick, apply_tick - 1)
        if act["ended"]:
            end = apply_tick + int(act["ticks"]) - 1
            assert act["next_told"].tolist() == told_at(ticks, pending, end, end)
        elif following is not None:
            assert act["next_told"].tolist() == following["told"].tolist()
    assert any((act["told"] >= 0).any() for act in acts)
    if pending.reflex:
        assert_newest(acts, frames)
    decisions = np.load(tmp_path / "run" / "decisions.npz")
    late = decisions["told_tick"] >= 0  # whose heads are charged a tenth of a millisecond, no more and no less
    assert set((decisions["end_ns"] - decisions["head_start_ns"])[late].tolist()) <= {100_000}
    assert late.any() == pending.waits
    if "delay" in how:  # trunk and head together take what is stated
        assert set(inference_ns(decisions)[late].tolist()) == {round((how["delay"] - 0.5) * 1e9 / POLE["rate_hz"])}


@pytest.mark.parametrize(
    "how",
    [
        {"pending": "late", "delay": 4},
        {"pending": "late", "delay": 4, "pending_encoding": "recurrent", "dueling": True},
        {"pending": "history", "delay": 3},
        {"pending": "late", "delay": 3, "reflex": True},
        {"pending": "late", "delay": 2, "reflex": True, "environment": "gameboy/stacks", "width": 0.5, "rate_hz": None},
        {"pending": "late", "delay": 2, "environment": "gameboy/duel-battles", "width": 0.5, "rate_hz": None},
    ],
)
def test_decisions_are_those_of_the_whole_network(tmp_path, how):
    """Trunk and head by themselves, on the fast path too, and as one."""
    never = {"learn_start": 2000, "epsilon_start": 0.2, "epsilon_end": 0.2, "initialisation": "pytorch"}
    rtrl_jax.run(**(POLE | never | how), run_dir=str(tmp_path / "run"))
    acts, frames, model, leaves = kept_by(tmp_path / "run")
    decisions = np.load(tmp_path / "run" / "decisions.npz")
    greedy = dict(zip(decisions["obs_tick"].tolist(), decisions["greedy"].tolist(), strict=True))
    acts_of_network = acts[[greedy[int(act["obs_tick"])] for act in acts]]
    seen, newest = frames[acts_of_network["frames"][:, 0] - acts["frames"][0, 0]], None
    if model.pending.reflex:
        newest = frames[acts_of_network["newest"][:, 0] - acts["frames"][0, 0]]
    seen = Seen(seen, acts_of_network["told"], newest)
    values = jax.jit(model.module.apply)({"params": jax.tree.unflatten(model.structure, leaves)}, seen)
    chosen = np.take_along_axis(np.asarray(values), acts_of_network["action"][:, None], 1)[:, 0]
    np.testing.assert_allclose(chosen, values.max(1), rtol=1e-4, atol=1e-5)
    assert len(acts_of_network) > 100


def test_a_late_agent_is_evaluated_with_what_it_would_know(tmp_path):
    run = {"pending": "late", "delay": 3, "learner_workers": "0", "epsilon_end": 0.0, "initialisation": "pytorch"}
    rtrl_jax.run(**(POLE | run), run_dir=str(tmp_path / "run"))
    flags = [f"--checkpoint={tmp_path / 'run'}", "--episodes=4", "--epsilon=0", f"--out={tmp_path / 'evaluation'}"]
    assert evaluate(*flags).returncode == 0
    (row,) = json.loads((tmp_path / "evaluation" / "summary.json").read_text())["rows"]
    assert (row["episodes"], row["delay"]) == (4, 3)
    assert 8 < row["mean"] < 40  # what it does is the business of tests/evaluation/test_episodes.py


@pytest.mark.parametrize("interaction", ["async", "sequential"])
def test_a_decision_that_acts_for_three_ticks(tmp_path, interaction):
    how = {"action_hold": 3, "delay": 4, "interaction": interaction}
    summary = rtrl_jax.run(**POLE, **how, run_dir=str(tmp_path / "run"))
    ticks = np.load(tmp_path / "run" / "ticks.npz")
    period = 3 if interaction == "async" else 6  # one thinks from the last of its ticks, and acts 4 later
    acts, age = ~ticks["is_default"], ticks["tick"] - ticks["obs_tick"]
    first = acts & (np.diff(ticks["decisions"], prepend=0) > 0)
    assert set(age[first].tolist()) == {4}
    assert set(age[acts].tolist()) == {4, 5, 6}
    if interaction == "async":
        since = ticks["tick"] - ticks["episode_start"]
        np.testing.assert_array_equal(acts, since >= 4)
        np.testing.assert_array_equal(age[acts], (4 + (since - 4) % 3)[acts])
    held = np.flatnonzero(acts & ~first)
    np.testing.assert_array_equal(ticks["action"][held], ticks["action"][held - 1])
    np.testing.assert_array_equal(ticks["obs_tick"][held], ticks["obs_tick"][held - 1])
    assert (summary["delay"]["mean"], summary["delay"]["p99"]) == (4, 4)  # ticks in which it is held do not count
    assert summary["inference"]["workers"] == (2 if interaction == "async" else 1)
    acted, _, _, _ = kept_by(tmp_path / "run")
    assert set(acted["ticks"][acted["ended"] == 0].tolist()) == {period}
