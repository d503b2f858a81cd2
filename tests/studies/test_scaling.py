"""The scaling study: the search, N* where it is known, the semantics table, and the command itself."""

import csv
import math
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from rtrl_jax.studies import constancy, latencies, learners, machines, measured, rows, scaling, semantics_table

TAU = 7.99


def launch(*flags):
    command = [sys.executable, str(ROOT / "launch" / "scaling.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


CONSTANT = latencies.constant(TAU)


def find(algorithm, tau=CONSTANT, epsilon=0.0, most=40):
    return scaling.find(algorithm, tau, epsilon=epsilon, latency="constant", stated_ticks=TAU, most=most)


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


@pytest.mark.parametrize("algorithm", ["max_time", "max_time_warm", "bounded", "expected_time", "ticket"])
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


def test_told_the_longest_time_algorithm_1_needs_that_many_workers_and_cold_no_number_is_enough():
    """Half of what an earlier study here said: it had tried the cold start alone."""
    tau = latencies.gamma(TAU, 0.25)
    warm = find("max_time_warm", tau)
    assert warm.workers_by_inaction == pytest.approx(tau.quantile(0.99999), abs=2)
    assert warm.delay == pytest.approx(tau.quantile(0.99999) + 1, abs=1)
    assert find("max_time", tau).workers_by_inaction is None


def test_what_is_not_searched_is_told_apart_from_what_is_not_found():
    lost = find("none")
    skipped = scaling.find("none", CONSTANT, epsilon=0.0, latency="constant", stated_ticks=TAU, searched=False)
    assert (lost.searched, lost.workers_by_inaction, lost.cap) == (True, None, 40)
    assert (skipped.searched, skipped.workers_by_inaction, skipped.ceil) == (False, None, 8)
    tasks = {task.key[:5]: task for task in scaling.against_tau([0], ticks=(), varying=(600.0,))}
    assert not tasks["constant", 0.5, "expected_time", None, 600.0].find().searched


def test_half_a_tick_changes_the_delay_of_who_reads_the_newest_observation_and_of_tickets_not():
    tau = latencies.constant(9.5)
    spread = {
        way: constancy.measure("gamma", 9.5, 0.0, way, "few", 0, tau).delay_sd for way in ("max_time_warm", "ticket")
    }
    assert spread["max_time_warm"] > 0.3
    assert spread["ticket"] == 0


@pytest.mark.parametrize("learn_every", [1, 4])
@pytest.mark.parametrize("tau", [0.5, 4.0, 19.99])
def test_learners_of_a_constant_time_keep_up_with_the_ceiling(tau, learn_every):
    point = learners.find(latencies.constant(tau), learn_every=learn_every, latency="constant")
    assert point.learners == point.ceil == max(1, math.ceil(tau / learn_every))


def test_one_learner_too_few_leaves_its_share():
    assert learners.unlearned(4, latencies.constant(20.0), 4, 4000) == pytest.approx(0.2, abs=0.02)


def test_turns_make_learners_wait_for_the_slowest():
    point = learners.find(latencies.gamma(20, 0.5), learn_every=2, latency="gamma", most=64)
    assert point.learners > point.ceil


def test_more_learners_than_allowed_are_not_tried():
    point = learners.find(latencies.constant(90), learn_every=1, latency="constant", most=8)
    assert (point.searched, point.learners, point.ceil) == (False, None, 90)


def test_network_times_are_read_and_played(tmp_path):
    times = [measured.Time("1M", 900_000, 1e9, 0, number, ms, "measured", "") for number, ms in enumerate((16.0, 18.0))]
    times.append(measured.Time("1B", 10**9, 1e12, 0, 0, 9000.0, "extrapolated", "a law"))
    times.append(measured.Time("1M", 900_000, 1e9, 16, 0, 40.0, "measured", ""))
    (tmp_path / "times.csv").write_text(rows.as_csv(measured.Time._fields, times))
    read = measured.read(tmp_path / "times.csv")
    assert read == times
    assert measured.inferences(read)[10**9].mean == pytest.approx(9 * scaling.RATE_HZ)
    assert set(measured.updates(read)) == {(900_000, 16)}
    assert measured.largest(read).tolist() == pytest.approx([0.016 * scaling.RATE_HZ, 0.018 * scaling.RATE_HZ])


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
    tau = latencies.constant(constancy.MEAN)
    first, second, ours = (
        constancy.measure("gamma", constancy.MEAN, 0.0, name, "few", 0, tau)
        for name in ("max_time", "expected_time", "ticket")
    )
    assert first.outlier_cost > 1000 > 50 > max(second.outlier_cost, ours.outlier_cost)


def test_the_command_writes_tables_and_goes_on_with_them(tmp_path):
    done = launch("--quick", f"--out={tmp_path / 'new'}")
    assert done.returncode == 0, done.stderr
    tables = {path: path.read_text() for path in (tmp_path / "new").iterdir() if path.stem != "costs"}
    assert {path.name for path in tables} == {"workers.csv", "learners.csv", "constancy.csv"}
    with open(tmp_path / "new" / "workers.csv") as file:
        assert {row["algorithm"] for row in csv.DictReader(file)} == set(scaling.WAYS)
    # Cut off after its second row, it finds the others again and nothing else.
    kept = (tmp_path / "new" / "workers.csv").read_text().splitlines(keepends=True)
    (tmp_path / "new" / "workers.csv").write_text("".join(kept[:3]))
    again = launch("--quick", "--parts=workers", f"--out={tmp_path / 'new'}")
    assert again.stdout.count("workers.csv: 3 of 6") == 1
    assert "workers.csv: 1 of" not in again.stdout
    assert tables == {path: path.read_text() for path in tables}


def test_the_table_is_printed_and_written(tmp_path):
    done = launch("--parts=table", "--quick", f"--out={tmp_path / 'new'}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "table.md").read_text() in done.stdout
    assert done.stdout.count("\n| ") == 6


def test_a_network_between_machines_takes_workers_and_delay_and_none_takes_nothing():
    none, slow = (machines.tasks(f"{ms}", places=((2, 4),))[0].find() for ms in (0, 2e3 / scaling.RATE_HZ))
    assert abs(none.workers - none.workers_on_one) <= 1, "other draws of the same"
    assert none.delay == pytest.approx(none.delay_on_one, abs=0.5)
    assert slow.workers_on_one == none.workers_on_one
    assert slow.workers > slow.workers_on_one
    assert slow.delay > slow.delay_on_one + 1, "half of the answers come two ticks later, and playout waits for them"


def test_workers_on_the_environments_machine_have_no_network_between():
    rng = np.random.default_rng(0)
    tau = machines.over_a_network(latencies.constant(3.0), "100", machines=4)
    times = np.array([tau(rng, number)[0] for number in range(4000)])
    assert set(times.round(3)) == {3.0, round(3.0 + 0.1 * scaling.RATE_HZ, 3)}
    assert (times == 3).mean() == pytest.approx(1 / 4, abs=0.03)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "--out=FOLDER"),
        (["--out={}/file"], "is no folder"),
        (["--out={}/new", "--parts=workers,table,workers"], "--parts="),
        (["--out={}/new", "--parts=networks"], "no times.csv"),
        (["--out={}/new", "--seeds=0"], "seeds"),
        (["--out={}/new", "--parts=machines", "--network_ms=quick"], "--network_ms=quick: give"),
    ],
)
def test_bad_input(tmp_path, flags, says):
    (tmp_path / "file").write_text("precious")
    done = launch(*(flag.format(tmp_path) for flag in flags))
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_table_of_another_study_is_left_alone(tmp_path):
    (tmp_path / "workers.csv").write_text("a,b\n1,2\n")
    done = launch("--quick", "--parts=workers", f"--out={tmp_path}")
    assert done.returncode == 2
    assert "other columns" in done.stderr
    assert (tmp_path / "workers.csv").read_text() == "a,b\n1,2\n"
