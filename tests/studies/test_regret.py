"""The regret study: measured regret against the closed forms, in runs short enough for a test suite."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from rtrl_jax import environments, theory
from rtrl_jax.environments.protocol import Environment
from rtrl_jax.figures import tables
from rtrl_jax.statistics import half_width
from rtrl_jax.studies import latencies, learning_regret, regret, ways

TICKS = 6000
RATE = 50.0


def measured(world, latency, ratio, interaction, seed=0, rule="own"):
    return regret.measure(latency, ratio, interaction, rule, world, TICKS, seed)


class Watched(Environment):
    """A toy world that remembers where it was."""

    def __init__(self, name):
        self._world = environments.make(name)
        self.spec, self.states = self._world.spec, []

    def reset(self, seed=None):
        frame = self._world.reset(seed)
        self.states.append(int(frame.argmax()))
        return frame

    def step(self, action):
        frame, *rest = self._world.step(action)
        self.states.append(int(frame.argmax()))
        return frame, *rest

    def close(self):
        self._world.close()


@pytest.mark.parametrize(("name", "world"), [("toy/chain-0.9", "chain-0.9"), ("toy/delay-0.9", "delay-0.9")])
def test_a_world_that_walks_by_itself_pays_what_the_real_one_pays(name, world):
    """Tick by tick, in the real loops, at delays that vary."""
    watched, aim = Watched(name), 2
    tau = latencies.gamma(3.3, 0.5)
    played = ways.play(
        "expected_time",
        watched,
        tau,
        workers=4,
        ticks=400,
        seed=0,
        policy=lambda frame: 1 + (int(frame.argmax()) + aim) % 64,
    )
    moves = np.diff(watched.states)
    replayed = regret.WORLDS[world]._replace(moves=lambda rng, steps: moves)
    rewards = regret.rewards(replayed, played.records[1:], aim, 400, 0)
    assert 0 < rewards.sum() < 399
    assert rewards.tolist() == played.records["reward"][1:].tolist()


def test_it_walks_as_likely_as_the_real_one():
    for world, likely in (("chain-0.7", 1), ("delay-0.9", 0)):
        moves = regret.WORLDS[world].moves(np.random.default_rng(0), 20_000)
        assert np.mean(moves == likely) == pytest.approx(regret.WORLDS[world].p, abs=0.02)
        assert moves.max() <= 64


@pytest.mark.parametrize("interaction", ["max_time", "max_time_warm", "expected_time", "ticket"])
def test_a_stale_but_predictable_observation_costs_nothing(interaction):
    row = measured("chain-1", "constant", 8, interaction)
    assert row.delay_mean > 7.9
    # Where two answers fall into one tick the delay is not the same.
    assert row.regret == pytest.approx(0.0, abs=0.02 * RATE)


def test_between_two_boundaries_the_delay_varies_but_for_tickets():
    warm, ours = (measured("chain-1", "half", 8.5, way) for way in ("max_time_warm", "ticket"))
    assert warm.inaction < 0.01
    assert warm.regret > 0.2 * RATE
    assert (ours.inaction, ours.regret, ours.delay_sd) == (0, 0, 0)


def test_told_the_longest_time_algorithm_1_acts_at_every_tick_whatever_varies():
    cold, warm = (measured("inaction", "uniform", 8, way) for way in ("max_time", "max_time_warm"))
    assert (cold.workers, warm.workers) == (12, 12)
    assert cold.regret > 0.1 * RATE
    assert warm.regret < 0.01 * RATE


def test_in_the_random_world_delay_costs_what_the_closed_form_says():
    row = measured("chain-0.9", "constant", 8, "ticket")
    assert (row.inaction, row.delay_mean) == (0.0, 8.0)
    loss = float(theory.chain_loss(0.9, 7, 64))
    assert row.predicted == pytest.approx(loss * RATE) == row.bound
    # Hits come in spells of 1/(1 - p) ticks, so there are fewer independent ones than ticks.
    assert row.regret == pytest.approx(loss * RATE, abs=0.06 * RATE)


def test_the_proofs_cycle_is_played_better_than_its_proof_says():
    row = measured("delay-0.9", "constant", 32, "ticket")
    assert row.predicted == pytest.approx(theory.cycle_loss(0.9, 31, 64) * RATE)
    assert row.predicted < 0.85 * row.bound
    assert row.regret == pytest.approx(row.predicted, abs=0.08 * RATE)


@pytest.mark.parametrize(("ratio", "share"), [(2, 1 / 2), (8, 7 / 8)])
def test_remark_1_in_the_proofs_world(ratio, share):
    row = measured("inaction", "constant", ratio, "sequential")
    assert row.regret == pytest.approx(share * RATE, abs=0.1)
    assert row.bound == pytest.approx(theory.sequential_regret_rate(ratio * regret.FITS, 1.0) * RATE)


def test_a_delay_that_varies_costs_even_where_nothing_is_random_but_it():
    varying, constant = (measured("chain-1", "uniform", 8, name) for name in ("expected_time", "ticket"))
    assert varying.delay_sd > 1 > 0.2 > constant.delay_sd
    assert varying.regret - varying.inaction * RATE > 0.2 * RATE
    assert constant.regret - constant.inaction * RATE < 0.03 * RATE
    for row in (varying, constant):
        assert row.regret == pytest.approx(row.predicted, abs=0.02 * RATE)


def test_workers_are_n_star_or_equally_many():
    assert [regret.workers_for(name, "uniform", 16) for name in regret.INTERACTIONS] == [1, 24, 24, 16, 17]
    assert [regret.workers_for(name, "constant", 16) for name in regret.INTERACTIONS] == [1, 16, 16, 16, 16]
    assert [regret.workers_for(name, "uniform", 16, "equal") for name in regret.INTERACTIONS] == [24] * 5


def test_intervals():
    assert half_width(np.array([1.0])) is None
    assert half_width(np.array([1.0, 2.0, 3.0])) == pytest.approx(4.303 / 3**0.5, abs=1e-3)


def test_learning_costs_the_root_of_the_decisions_and_a_late_outcome_a_constant():
    """At the worst of the gaps; where the arms are alike nothing can be lost."""
    few, many = (_worst(n, lag=1) for n in (500, 8000))
    assert many / few == pytest.approx(5.0, rel=0.3)  # 4, and what the logarithm adds
    assert 0 < _worst(8000, lag=8) - many < 0.5 * many
    assert learning_regret.regret(500, 1, 0.0, seed=0) == 0.0


def _worst(n, lag):
    gaps = [gap * (learning_regret.ACTIONS / n) ** 0.5 for gap in learning_regret.GAPS]
    return max(np.mean([learning_regret.regret(n, lag, gap, seed) for seed in range(12)]) for gap in gaps)


def launch(*flags):
    command = [sys.executable, str(ROOT / "launch" / "regret.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_command_writes_the_tables(tmp_path):
    done = launch("--quick", "--seeds=1", f"--out={tmp_path}")
    assert done.returncode == 0, done.stderr
    rows = tables.read(tmp_path / "runs.csv", *regret.Measured._fields)
    assert len(rows) == 2 * 5 * len(regret.WORLDS)
    assert len(tables.read(tmp_path / "learning.csv")) == 3 * 3 * 2 * len(learning_regret.GAPS)


def test_the_figures_that_are_kept_are_of_this_study():
    for row in tables.read(ROOT / "results" / "regret" / "runs.csv"):
        now = regret.bound(row["world"], row["latency"], row["ratio"], row["interaction"])
        assert row["bound"] == pytest.approx(now, abs=1e-3)
        assert row["workers"] == regret.workers_for(row["interaction"], row["latency"], row["ratio"], row["rule"])


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--out=FOLDER"),
        (["--out={}/new", "--parts=one"], "--parts=one"),
        (["--out={}/new", "--seeds=0"], "--seeds"),
        (["--out={}/file"], "is no folder"),
        (["--out={}/file/new"], "cannot be written"),
    ],
)
def test_bad_input(tmp_path, flags, says):
    (tmp_path / "file").write_text("precious")
    done = launch(*(flag.format(tmp_path) for flag in flags))
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
