"""The scaling study: the search, N* where it is known, the semantics table, and the command itself."""

import csv
import json
import math
import subprocess
import sys

import pytest
from conftest import ROOT

from rtrl_jax.studies import latencies, learners, scaling, semantics_table, variance

TAU = 7.99


def launch(*flags):
    command = [sys.executable, str(ROOT / "launch" / "scaling.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


CONSTANT = latencies.constant(TAU)


def find(algorithm, tau=CONSTANT, epsilon=0.0, most=40):
    return scaling.find(
        algorithm, tau, epsilon=epsilon, latency="constant", obtained="virtual", tau_ticks=TAU, most=most
    )


@pytest.mark.parametrize("guess", [1, 6, 7, 8, 30, 99])
def test_the_search_finds_the_least_number(guess):
    for answer in (1, 7, 29, 40):
        assert scaling.least(lambda n, answer=answer: n >= answer, guess, 40) == answer
    assert scaling.least(lambda n: False, guess, 40) is None


def test_a_good_guess_takes_two_trials_and_a_large_answer_is_nearly_exact():
    tried = []
    assert scaling.least(lambda n: tried.append(n) or n >= 600, 600, 1024) == 600
    assert tried == [600, 599]
    assert 700 <= scaling.least(lambda n: n >= 700, 3, 1024) <= 714


@pytest.mark.parametrize("algorithm", ["max_time", "bounded", "expected_time", "ticket"])
def test_a_constant_time_takes_its_ceiling(algorithm):
    point = find(algorithm)
    assert (point.workers_by_inaction, point.workers_by_rate, point.ceil) == (8, 8, 8)
    assert point.inaction < 0.01


def test_without_staggering_the_rate_is_met_and_the_ticks_are_not():
    point = find("none")
    assert point.workers_by_rate == 8
    assert point.inaction_by_rate == pytest.approx(1 - 1 / 8, abs=0.01)
    assert (point.workers_by_inaction, point.inaction, point.cap) == (None, None, 40)


def test_exploring_halves_the_mean_but_not_algorithm_1_s_need():
    slow, ours = find("max_time", epsilon=0.5), find("ticket", epsilon=0.5)
    assert slow.ceil == ours.ceil == 4
    assert slow.workers_by_inaction in (8, 9)
    assert ours.workers_by_inaction < 8


def test_under_variance_only_tickets_need_no_more_than_the_mean_of_whole_ticks():
    tau = latencies.gamma(TAU, 0.5)
    assert find("ticket", tau).workers_by_inaction <= TAU + 2
    assert find("expected_time", tau).workers_by_inaction is None


@pytest.mark.parametrize("learn_every", [1, 4])
@pytest.mark.parametrize("tau", [0.5, 4.0, 19.99])
def test_learners_of_a_constant_time_keep_up_with_the_ceiling(tau, learn_every):
    point = learners.find(
        latencies.constant(tau), tau_ticks=tau, learn_every=learn_every, latency="constant", obtained="virtual"
    )
    assert point.learners == point.ceil == max(1, math.ceil(tau / learn_every))


def test_one_learner_too_few_leaves_its_share():
    assert learners.unlearned(4, latencies.constant(20.0), 4, 4000) == pytest.approx(0.2, abs=0.02)


def test_turns_make_learners_wait_for_the_slowest():
    point = learners.find(
        latencies.gamma(20, 0.5), tau_ticks=20, learn_every=2, latency="gamma", obtained="virtual", most=64
    )
    assert point.learners > point.ceil


def test_more_learners_than_allowed_are_not_tried():
    point = learners.find(
        latencies.constant(90), tau_ticks=90, learn_every=1, latency="constant", obtained="virtual", most=8
    )
    assert (point.learners, point.ceil) == (None, 90)


def test_lines():
    assert scaling.fit([1, 2], [1, 2]) is None
    line = scaling.fit([1, 2, 3], [3, 5, 7])
    assert (line.slope, line.intercept, line.r2) == pytest.approx((2, 1, 1))


def test_the_table_agrees_with_the_design():
    """Algorithm 1 under variance depends on the luck of the largest draw, and in the last row on when the outlier comes."""
    for cell in (cell() for cell in semantics_table.cells(6000)):
        if cell.design is None:
            continue
        inaction, delay = cell.design
        lucky = cell.column == "max_time" and not cell.row.startswith("constant")
        settling = 0.12 if "even odds" in cell.row or "outlier" in cell.row else 0.02
        assert cell.inaction == pytest.approx(inaction, abs=0.25 if lucky else settling), cell
        assert cell.delay == pytest.approx(delay, rel=0.45 if lucky else 0.06), cell


def test_an_outlier_ruins_algorithm_1_alone():
    first, second, ours = (variance.measure(name, 0.0, 1) for name in ("max_time", "expected_time", "ticket"))
    assert first.outlier_cost > 1000 > 50 > max(second.outlier_cost, ours.outlier_cost)


def test_the_command_writes_tables_and_pictures(tmp_path):
    done = launch("--quick", f"--out={tmp_path / 'new'}")
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert {"scaling.csv", "learners.csv", "variance.csv", "fits.csv", "table.md", "scaling.json"} <= names
    assert {"workers-by-time.png", "learners-by-time.svg", "variance.png"} <= names
    assert json.loads((tmp_path / "new" / "scaling.json").read_text())["complete"]
    with open(tmp_path / "new" / "scaling.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["algorithm"] for row in rows} == set(scaling.ALGORITHMS)
    assert {row["obtained"] for row in rows} == {"virtual"}


def test_the_table_is_printed_and_written(tmp_path):
    done = launch("--table", "--quick", f"--out={tmp_path / 'new'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "table.md").read_text() in done.stdout
    assert done.stdout.count("\n| ") == 6


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--out=FOLDER"),
        (["--out={}"], "already holds"),
        (["--out={}/file"], "is no folder"),
        (["--out={}/new", "--times={}/file"], "--times="),
        (["--out={}/new", "--learn_every=0"], "learn_every"),
    ],
)
def test_bad_input(tmp_path, flags, says):
    (tmp_path / "file").write_text("precious")
    done = launch(*(flag.format(tmp_path) for flag in flags))
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
