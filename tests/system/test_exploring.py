"""What exploration costs, and how much of what acts is random: on both clocks."""

import numpy as np
import pytest

import rtrl_jax

PLAY = {"environment": "gymnasium/MountainCar-v0", "rate_hz": 50.0, "display": "none", "checkpoint_every_s": 0.0}
PLAY |= {"learner_workers": "0", "epsilon_end": 0.05, "inference_workers": "10", "max_ticks": 4000}


def exploratory_share(folder, **settings):
    rtrl_jax.run(**PLAY, **settings, clock="virtual", inference_latency_ms="199.8", run_dir=str(folder))
    with np.load(folder / "decisions.npz") as decisions:
        return 1 - decisions["greedy"][decisions["status"] == 0].mean()


# Algorithm 2 keeps the workers in step for some thousands of ticks, in which fewer answers are under way at a time.
@pytest.mark.parametrize(("stagger", "free"), [("expected_time", 0.08), ("none", 0.15)])
def test_epsilon_of_what_acts_is_random_if_exploring_takes_as_long(tmp_path, stagger, free):
    """An exploratory answer that takes no time makes those stale that are under way."""
    assert exploratory_share(tmp_path / "free", stagger=stagger) > free
    share = exploratory_share(tmp_path / "charged", stagger=stagger, explore_cost="network")
    assert share == pytest.approx(0.05, abs=0.02)


def test_on_the_wall_clock_too(launch, tmp_path):
    flags = ["--environment=gymnasium/CartPole-v1", "--rate_hz=50", "--max_ticks=250", "--learner_workers=0"]
    flags += ["--epsilon_end=0.5", "--emulated_inference_ms=30", "--inference_workers=2", "--workers_per_process=2"]
    for cost, least_ms in (("none", 0), ("network", 30)):
        done = launch(*flags, f"--explore_cost={cost}", f"--run_dir={tmp_path}/{cost}")
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / cost / "decisions.npz") as decisions:
            took_ms = (decisions["end_ns"] - decisions["start_ns"])[~decisions["greedy"]] / 1e6
        assert len(took_ms) > 5
        assert took_ms.min() >= least_ms  # on a busy machine longer
        assert (np.median(took_ms) < 15) == (cost == "none")
