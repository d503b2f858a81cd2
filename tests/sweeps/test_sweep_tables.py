"""The two tables of a sweep, from folders of made-up runs."""

import csv
import io
import json

import pytest
from scipy import stats

from rtrl_jax.errors import UserError
from rtrl_jax.plots import against
from rtrl_jax.settings import Settings
from rtrl_jax.sweeps import place, table
from rtrl_jax.sweeps.definition import Played, Sweep
from rtrl_jax.sweeps.grid import cells

RETURNS = {1: [3.0, 5.0, 10.0], 4: [1.0, 1.5, 2.5]}


def write_run(out, name, value, ended_by="its limits", evaluated=None):
    here = place.of(out, name)
    here.run.mkdir(parents=True)
    summary = {
        "environment": "toy/Made-up",
        "ticks": 100,
        "episodes": {"return_mean": value, "return_last": None},
        "learning": {"loss": value / 2, "agent": "dqn"},
        "failures": [{"process": "inference 0"}],
        "ended_by": ended_by,
        "realtime_priority": False,
        "versions": {"jax": "1.2.3"},
        "machine": {"cores": 2},
        "run_dir": str(here.run),  # which no table has
    }
    (here.run / "summary.json").write_text(json.dumps(summary))
    if evaluated is not None:
        here.evaluation.mkdir(parents=True)
        row = {"mean": evaluated, "mean_interval": [evaluated - 1, evaluated + 2], "wins": None}
        (here.evaluation / "summary.json").write_text(json.dumps({"complete": True, "rows": [row]}))


@pytest.fixture
def made(tmp_path):
    """A sweep over two delays and three seeds, and its folder."""
    place.make_folders(tmp_path)
    sweep = Sweep(Settings(), cells(["delay=1,4"]), [0, 1, 2])
    for run in sweep.runs():
        write_run(tmp_path, run.name, RETURNS[run.cell.values["delay"]][run.seed])
    return sweep, tmp_path


def read(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_a_row_a_run_has_every_figure_of_its_summary(made):
    sweep, out = made
    table.write(table.rows(sweep, out), out)
    rows = read(out / "runs.csv")
    assert [row["run"] for row in rows] == [f"delay-{delay}-seed{seed}" for seed in range(3) for delay in (1, 4)]
    assert list(rows[0]) == [
        *("run", "cell", "seed", "state", "reason", "delay", "environment", "ticks", "episodes.return_mean"),
        *("episodes.return_last", "learning.loss", "learning.agent", "failures", "ended_by", "realtime_priority"),
        *("versions.jax", "machine.cores"),
    ]
    assert {
        name: rows[1][name] for name in ("delay", "seed", "episodes.return_mean", "failures", "learning.agent")
    } == {
        "delay": "4",
        "seed": "0",
        "episodes.return_mean": "1.0",
        "failures": "1",
        "learning.agent": "dqn",
    }


def test_the_interval_over_seeds_is_students(made):
    sweep, out = made
    first, second = table.write(table.rows(sweep, out), out)
    for line, values in ((first, RETURNS[1]), (second, RETURNS[4])):
        low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values))
        mean, half = line["episodes.return_mean"], line["episodes.return_mean.half_width"]
        assert (mean - half, mean + half) == pytest.approx((low, high))
        assert line["ticks.half_width"] == 0
    assert list(first) == list(second)
    assert not {"learning.agent", "realtime_priority", "machine.cores", "episodes.return_last"} & set(first)


def test_only_finished_runs_count_and_columns_stay_where_they_are(made):
    sweep, out = made
    table.write(table.rows(sweep, out), out)
    before = read(out / "cells.csv")
    place.of(out, "delay-4-seed0").fail("ValueError: no")
    for seed, ended_by in ((1, "SIGTERM"), (2, "its limits")):
        place.clear(place.of(out, f"delay-4-seed{seed}").run)
        write_run(out, f"delay-4-seed{seed}", 2.0, ended_by)
    found = table.rows(sweep, out)
    table.write(found, out)
    assert [row.state for row in found if row.varied["delay"] == 4] == ["failed", "unfinished", "finished"]
    assert found[1].reason == "ValueError: no"
    one, other = read(out / "cells.csv")
    assert one == before[0]
    assert (other["seeds"], other["of"], other["episodes.return_mean"]) == ("1", "3", "2.0")
    assert other["episodes.return_mean.half_width"] == ""  # one seed has no interval
    assert list(read(out / "runs.csv")[0])[:6] == ["run", "cell", "seed", "state", "reason", "delay"]


def test_a_mean_over_some_of_the_seeds_is_none(made):
    sweep, out = made
    place.clear(place.of(out, "delay-4-seed1").run)
    write_run(out, "delay-4-seed1", 7.0)
    file = place.of(out, "delay-4-seed1").run / "summary.json"
    summary = json.loads(file.read_text())
    summary["episodes"]["return_mean"] = None
    file.write_text(json.dumps(summary))
    one, other = table.cells(table.rows(sweep, out))
    assert one["episodes.return_mean"] == 6.0
    assert other["seeds"] == 3
    assert other["episodes.return_mean"] is None


def test_an_evaluation_belongs_to_the_run_and_its_interval_is_two_columns(made):
    sweep, out = made
    sweep = sweep._replace(played=Played(10, 100))
    assert {row.state for row in table.rows(sweep, out)} == {"unfinished"}
    for run in sweep.runs():
        place.clear(place.of(out, run.name).run)
        write_run(out, run.name, 1.0, evaluated=float(run.seed))
    found = table.rows(sweep, out)
    assert {row.state for row in found} == {"finished"}
    assert found[-1].figures["evaluation.mean"] == 2.0
    assert (found[-1].figures["evaluation.mean_low"], found[-1].figures["evaluation.mean_high"]) == (1.0, 4.0)
    assert table.cells(found)[0]["evaluation.mean"] == 1.0


def test_a_flag_of_the_grid_is_not_overwritten_by_a_figure_of_that_name(tmp_path):
    sweep = Sweep(Settings(), cells(["parameters=55K,1M"]), [0])
    for run in sweep.runs():
        write_run(tmp_path, run.name, 1.0)
        file = place.of(tmp_path, run.name).run / "summary.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "parameters": 1_031_234}))
    assert [line["parameters"] for line in table.write(table.rows(sweep, tmp_path), tmp_path)] == ["55K", "1M"]
    assert [row["parameters"] for row in read(tmp_path / "runs.csv")] == ["55K", "1M"]


def test_pictures_take_a_sweep_for_its_finished_runs_by_cell(made):
    sweep, out = made
    (out / "sweep.json").write_text(json.dumps(sweep.as_dict()))
    place.clear(place.of(out, "delay-1-seed0").run)
    runs = {delay: [f"{out}/runs/delay-{delay}-seed{seed}" for seed in range(3)] for delay in (1, 4)}
    first, second = runs[1][1:], runs[4]
    assert place.expanded([str(out)], labelled=True) == [
        *(f"delay-1={first[0]}", first[1], f"delay-4={second[0]}", *second[1:])
    ]
    assert place.expanded([f"ours={out}"], labelled=True)[0] == f"ours delay-1={first[0]}"
    assert place.expanded(["a", str(out), "b=c"], labelled=False) == ["a", *first, *second, "b=c"]
    assert place.expanded([f"{out}", f"b={out}"], labelled=True)[0] == f"{out.name} delay-1={first[0]}"
    with pytest.raises(UserError, match="other=runs/other"):  # not one more seed of the last cell
        place.expanded([str(out), "runs/other"], labelled=True)
    assert place.expanded([str(out), "b=c", "d"], labelled=True)[-2:] == ["b=c", "d"]
    (out / "sweep.json").write_text(json.dumps({**sweep.as_dict(), "cells": {"delay-4": {"delay": 4}}}))
    assert place.expanded([str(out)], labelled=True)[0] == f"{out.name}={second[0]}"
    (out / "sweep.json").write_text('{"cells": 3}')
    with pytest.raises(UserError, match="unknown format"):
        place.expanded([str(out)], labelled=True)
    (out / "sweep.json").write_text(json.dumps(sweep.as_dict()))
    for run in (out / "runs").iterdir():
        place.clear(run)
    with pytest.raises(UserError, match="none of its runs is finished"):
        place.expanded([str(out)], labelled=True)


def test_cells_that_differ_are_no_seeds_of_one_point(tmp_path):
    sweep = Sweep(Settings(), cells(["delay=1,4;policy=agent,random;learning_rate=0.1,0.2"]), [0, 1])
    (tmp_path / "sweep.json").write_text(json.dumps(sweep.as_dict()))
    for run in sweep.runs():
        write_run(tmp_path, run.name, 1.0 + run.seed)
        folder, values = place.of(tmp_path, run.name).run, run.cell.values
        more = {"interaction": "async", "inference": {"stagger": "ticket"}, "delay": {"mean": values["delay"]}}
        summary = json.loads((folder / "summary.json").read_text())
        (folder / "summary.json").write_text(json.dumps(summary | more))
        (folder / "flags.txt").write_text(f"--policy={values['policy']}\n")
    runs = place.expanded([str(tmp_path)], labelled=False)
    series = place.series([str(tmp_path)], against.NO_SERIES["delay"])
    (found,) = against.points(against.read(runs, "delay", series=series)).values()
    assert {name: [point.x for point in line] for name, line in found.items()} == {
        f"learning_rate={rate}, ticket{policy}": [1, 4] for rate in (0.1, 0.2) for policy in ("", ", random")
    }
    assert {point.y for line in found.values() for point in line} == {1.5}
