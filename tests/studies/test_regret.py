"""The regret study: measured regret against the closed forms, in runs short enough for a test suite."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from rtrl_jax import theory
from rtrl_jax.studies import regret

TICKS = 6000
RATE = 50.0


def measured(world, latency, ratio, interaction, seed=0):
    aim = regret.best_aim(regret.WORLDS[world], regret.delays_of(latency, ratio, interaction, TICKS, seed))
    return regret.measure(world, latency, ratio, interaction, aim, TICKS, seed)


@pytest.mark.parametrize("interaction", ["max_time", "expected_time", "ticket"])
def test_a_stale_but_predictable_observation_costs_nothing(interaction):
    row = measured("chain-1", "constant", 8, interaction)
    assert row.delay_mean > 7.9
    assert row.regret == pytest.approx(
        0.0, abs=0.02 * RATE
    )  # where two answers fall into one tick the delay is not the same


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


def test_inaction_vanishes_with_n_star_workers():
    for interaction in ("max_time", "expected_time", "ticket"):
        row = measured("inaction", "constant", 8, interaction)
        assert (row.workers, row.regret) == (8, pytest.approx(0.0, abs=0.1))


def test_a_delay_that_varies_costs_even_where_nothing_is_random_but_it():
    varying, constant = (measured("chain-1", "uniform", 8, name) for name in ("expected_time", "ticket"))
    assert varying.delay_sd > 1 > 0.2 > constant.delay_sd
    assert varying.regret - varying.inaction * RATE > 0.2 * RATE
    assert constant.regret - constant.inaction * RATE < 0.03 * RATE
    for row in (varying, constant):
        assert row.regret == pytest.approx(row.predicted, abs=0.02 * RATE)


def test_workers_are_n_star():
    assert [regret.workers_for(name, "uniform", 16) for name in regret.INTERACTIONS] == [1, 24, 16, 17]
    assert [regret.workers_for(name, "constant", 16) for name in regret.INTERACTIONS] == [1, 16, 16, 16]


def test_intervals():
    assert regret.half_width(np.array([1.0])) is None
    assert regret.half_width(np.array([1.0, 2.0, 3.0])) == pytest.approx(4.303 / 3**0.5, abs=1e-3)


def launch(*flags):
    command = [sys.executable, str(ROOT / "launch" / "regret.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_table_and_the_picture(tmp_path):
    from rtrl_jax.studies import regret_figure

    rows = regret.run(400, [0, 1], ratios=(1, 2), worlds=("chain-1", "chain-0.9"))
    assert len(rows) == 2 * 2 * 4 * 2 * 2
    table = regret.summarise(rows)
    assert len(table) == len(rows) // 2
    assert {row["seeds"] for row in table} == {2}
    for ending, begins in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        regret_figure.draw(table).savefig(tmp_path / f"regret.{ending}")
        assert (tmp_path / f"regret.{ending}").read_bytes().startswith(begins)


def test_the_figures_that_are_kept_are_of_this_study():
    with open(ROOT / "results" / "regret" / "regret.csv") as file:
        kept = list(csv.DictReader(file))
    assert len(kept) == len(regret.WORLDS) * len(regret.LATENCIES) * len(regret.RATIOS) * len(regret.INTERACTIONS)
    for row in kept:
        now = regret.bound(row["world"], row["latency"], float(row["ratio"]), row["interaction"])
        assert float(row["bound"]) == pytest.approx(now, abs=1e-3)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--out=FOLDER"),
        (["--out={}/new", "--seeds=one"], "--seeds=one"),
        (["--out={}/new", "--seeds=0,0"], "different"),
        (["--out={}/new", "--ticks=10"], "--ticks"),
        (["--out={}/file"], "is no folder"),
        (["--out={}/file/new"], "cannot be written"),
        (["--out={}"], "already holds"),
    ],
)
def test_bad_input(tmp_path, flags, says):
    (tmp_path / "file").write_text("precious")
    done = launch(*(flag.format(tmp_path) for flag in flags))
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
