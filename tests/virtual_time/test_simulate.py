"""The studies' simulation: the same record for the same seed, delays as the semantics say, bad arguments."""

import numpy as np
import pytest

from rtrl_jax import environments
from rtrl_jax.virtual_time.simulate import simulate


def play(interaction, workers, tau_ticks=7.99, seed=0, ticks=600, name="toy/chain-0.5"):
    environment = environments.make(name)
    return simulate(
        environment,
        lambda observation: 1 + int(observation.argmax()),
        lambda rng, number: (tau_ticks * rng.uniform(0.9, 1.0), True),
        interaction=interaction,
        workers=workers,
        ticks=ticks,
        seed=seed,
    ).records


@pytest.mark.parametrize(("interaction", "workers"), [("sequential", 1), ("max_time", 8), ("ticket", 8)])
def test_the_same_seed_is_the_same_run(interaction, workers):
    once, again, other = (play(interaction, workers, seed=seed) for seed in (3, 3, 4))
    assert (once == again).all()
    assert (once["reward"] != other["reward"]).any()
    assert len(once) == 600


def test_a_sequential_agent_of_d_ticks_acts_on_one_tick_in_d():
    records = play("sequential", 1)[100:]
    acting = records[~records["is_default"]]
    assert set(acting["tick"] - acting["obs_tick"]) == {8}
    assert records["is_default"].mean() == pytest.approx(7 / 8, abs=0.01)


def test_unstaggered_workers_all_answer_at_once():
    assert (
        play("none", 8, ticks=200)["is_default"][100:].mean() > play("ticket", 8, ticks=200)["is_default"][100:].mean()
    )


def test_time_goes_by_the_environments_rate():
    records = play("sequential", 1)
    assert np.unique(np.diff(records["boundary_ns"])).tolist() == [20_000_000]


@pytest.mark.parametrize(("interaction", "workers"), [("async", 1), ("sequential", 2)])
def test_bad_arguments(interaction, workers):
    with pytest.raises(ValueError, match="sequential"):
        play(interaction, workers)
