"""Runs in virtual time go on from any checkpoint, to the byte as if they had never stopped."""

import shutil

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

import rtrl_jax
from rtrl_jax.checkpoints import store
from rtrl_jax.virtual_time import run as virtual_run

RECORDS = ("ticks", "decisions", "updates")
TICKS, EVERY = 300, 29  # ticks of a run; between two checkpoints, which falls anywhere in what is under way


class Pole(CartPoleEnv):
    """A CartPole that can be saved."""

    def save(self):
        return {
            "state": np.array(self.state),
            "done": self.steps_beyond_terminated,
            "random": self.np_random.bit_generator.state,
        }

    def restore(self, saved):
        self.state, self.steps_beyond_terminated = saved["state"], saved["done"]
        self.np_random.bit_generator.state = saved["random"]


gymnasium.register("SavedPole-v0", Pole, max_episode_steps=90)

POLE = {
    "environment": "gymnasium/SavedPole-v0",
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
    | {"default_action": "repeat", "frame_stack": 3, "discount_per": "tick", "inference_workers": "2"},
    "random": POLE | GAMMA | {"policy": "random", "inference_workers": "3"},
    "noop": POLE | {"policy": "noop", "delay": 2},
    "n steps": POLE | {"delay": 2, "n_steps": 4},
    "rainbow": POLE | GAMMA | {"agent": "rainbow", "inference_workers": "3"},
}


@pytest.fixture(autouse=True)
def at_awkward_ticks(monkeypatch):
    monkeypatch.setattr(virtual_run, "LOOK_TICKS", EVERY)


def files(folder):
    """The records, to the byte, and the parameters at the end."""
    records = {kind: (folder / f"{kind}.npz").read_bytes() for kind in RECORDS}
    tree = store.read_tree(store.find(folder))
    return records, {f"{part} {name}": np.asarray(leaf).tobytes() for part in tree for name, leaf in tree[part].items()}


def from_checkpoint(run, number, folder):
    """A copy of the run as if it had been killed after its checkpoint of that number."""
    shutil.copytree(run, folder)
    for checkpoint in store.whole(folder)[number + 1 :]:
        shutil.rmtree(checkpoint)
    return folder


def assert_same(run, other, names=RECORDS):
    (records, state), (its_records, its_state) = files(run), files(other)
    for kind in names:
        if records[kind] != its_records[kind]:
            with np.load(run / f"{kind}.npz") as a, np.load(other / f"{kind}.npz") as b:
                differing = {name: (a[name], b[name]) for name in a.files if not np.array_equal(a[name], b[name])}
            first = {
                name: int(np.argmax(x[: len(y)] != y[: len(x)])) if x.ndim == 1 else None
                for name, (x, y) in differing.items()
            }
            raise AssertionError(f"{kind}: {first} of {[len(x) for x, _ in differing.values()]}")
    assert state == its_state


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_to_the_byte(tmp_path, name):
    run = tmp_path / "run"
    rtrl_jax.run(**CASES[name], run_dir=str(run))
    checkpoints = store.whole(run)
    assert len(checkpoints) > TICKS // EVERY
    for number in (1, 5, 8):
        again = from_checkpoint(run, number, tmp_path / f"again-{number}")
        summary = rtrl_jax.resume(again)
        assert summary["ticks"] == TICKS
        assert_same(run, again)
