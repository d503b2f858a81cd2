"""A sweep in two tables: a row for each run with every figure of its summary, and for each cell means over seeds."""

import csv
import io
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtrl_jax.statistics import half_width
from rtrl_jax.sweeps import place
from rtrl_jax.sweeps.definition import Sweep
from rtrl_jax.telemetry.files import write_text

RUNS, CELLS = "runs.csv", "cells.csv"
INTERVAL = ".half_width"  # of the 95 % interval of the mean whose name comes before
NOT_A_FIGURE = ("machine.", "versions.")  # though there are numbers in it
EVALUATION = "evaluation."
FIRST = ("run", "cell", "seed", "state", "reason")


class Row(NamedTuple):
    """One run."""

    run: str
    cell: str
    seed: int
    state: str
    reason: str  # why it failed
    varied: dict  # flag of the grid -> value
    figures: dict  # flat, of summary.json and of the evaluation


def rows(sweep: Sweep, out: pathlib.Path) -> list[Row]:
    """Every run's, read off its folder."""
    found = []
    for run in sweep.runs():
        here = place.of(out, run.name)
        figures = flat(here.summary() or {})
        figures.pop("run_dir", None)  # a path of one machine; `run` says which folder it is
        figures |= {EVALUATION + name: value for name, value in flat(here.scores() or {}).items()}
        settings = sweep.settings_of(run)
        varied = {name: getattr(settings, name) for name in varied_flags(sweep)}
        state = here.state(bool(sweep.played.episodes))
        found.append(Row(run.name, run.cell.name, run.seed, state, here.reason(), varied, figures))
    return found


def varied_flags(sweep: Sweep) -> list[str]:
    """Flags that a grid names, in its order."""
    return list(dict.fromkeys(name for cell in sweep.cells for name in cell.values))


def flat(value: dict, before: str = "") -> dict:
    """{"a": {"b": 1}} -> {"a.b": 1}. Intervals become two columns, other lists their length."""
    found = {}
    for name, one in value.items():
        if isinstance(one, dict):
            found |= flat(one, f"{before}{name}.")
        elif name.endswith("_interval"):
            low, high = one or (None, None)
            short = before + name.removesuffix("_interval")
            found |= {f"{short}_low": low, f"{short}_high": high}
        else:
            found[before + name] = len(one) if isinstance(one, list | tuple) else one
    return found


def cells(found: Sequence[Row]) -> list[dict]:
    """A row for each cell: mean of each number over the seeds that are finished, and half its 95 % t interval.

    Where a run has no such figure the cell has none either: a mean of some of the seeds would be another cell's.
    """
    table = []
    names = _numbers(found)
    for cell in dict.fromkeys(row.cell for row in found):
        mine = [row for row in found if row.cell == cell]
        finished = [row for row in mine if row.state == place.FINISHED]
        line = {"cell": cell, **mine[0].varied, "seeds": len(finished), "of": len(mine)}
        for name in names:
            values = [row.figures.get(name) for row in finished]
            line |= {name: None, name + INTERVAL: None}
            if values and None not in values:
                half = half_width(np.array(values, float))
                line |= {name: float(np.mean(values)), name + INTERVAL: None if half is None else float(half)}
        table.append(line)
    return table


def _numbers(found: Sequence[Row]) -> list[str]:
    """Figures that are numbers wherever there are any, but for those that a grid names."""
    names = []
    for name in _columns(row.figures for row in found):
        there = [row.figures[name] for row in found if row.figures.get(name) is not None]
        if there and all(map(_is_number, there)) and not name.startswith(NOT_A_FIGURE) and name not in found[0].varied:
            names.append(name)
    return names


def write(found: Sequence[Row], out: pathlib.Path) -> list[dict]:
    """Writes both tables, each whole or as it was. Returns that of the cells."""
    # Where a figure is called as a flag of the grid, that column has what the grid says.
    lines = [dict(zip(FIRST, row[: len(FIRST)], strict=True)) | row.varied | row.figures | row.varied for row in found]
    write_text(out / RUNS, as_csv(lines))
    table = cells(found)
    write_text(out / CELLS, as_csv(table))
    return table


def as_csv(lines: Sequence[dict]) -> str:
    """Columns in the order of the rows that have them, the same whichever of the rows are there."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=_columns(lines), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _columns(lines) -> list[str]:
    return list(dict.fromkeys(name for line in lines for name in line))


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
