"""The memory of a run's processes over time, as a picture and as a table."""

import csv
import io
import itertools
import pathlib

import numpy as np

from rtrl_jax.plots import style
from rtrl_jax.telemetry.files import write_text
from soaking.run import SUPERVISOR
from soaking.trend import WINDOWS, Slope
from soaking.watch import Series

COLUMNS = ("process", "minute", "lowest_mb", "highest_mb", "descriptors", "threads")
ROLES = (SUPERVISOR, "environment", "inference", "learner", "page")


def write_table(path: pathlib.Path, series: dict[str, Series]) -> None:
    """A row for each process and each sixtieth of the time: the range of its memory, and the fewest it had of the rest."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for name, one in series.items():
        edges = np.linspace(one.seconds[0], one.seconds[-1], WINDOWS + 1)
        for begin, end in itertools.pairwise(edges):
            part = one.between(begin, end)
            if len(part.seconds):
                mb = f"{part.mb.min():.3f}", f"{part.mb.max():.3f}"
                table.writerow(
                    [name, f"{(begin + end) / 120:.3f}", *mb, int(part.descriptors.min()), int(part.threads.min())]
                )
    write_text(path, text.getvalue())


def draw(path: pathlib.Path, slopes: dict[str, Slope], warm_up_s: float, goal: float) -> None:
    """Draws the table beside `path` (a .csv): memory, and what it has changed by since the warm-up.

    Args:
      slopes: of the processes, MB an hour.
      goal: MB an hour.
    """
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    figure, axes = style.panels(2, 1, width=8, height=7, title=finding(slopes, goal), sharex=True)
    memory, change = axes[:, 0]
    last = 0.0
    for name in slopes:
        mine = [row for row in rows if row["process"] == name]
        minute, low, high = (
            np.array([float(row[key]) for row in mine]) for key in ("minute", "lowest_mb", "highest_mb")
        )
        role = name.partition(" ")[0]
        look = style.LOOKS[ROLES.index(role) if role in ROLES else len(ROLES)]
        is_first = not any(line.get_label() == label(role) for line in memory.get_lines())
        kind = {"color": look.colour, "linewidth": 1.2, "dashes": look.dashes or (None, None)}
        memory.plot(minute, low, label=label(role) if is_first else None, **kind)
        memory.fill_between(minute, low, high, color=look.colour, alpha=0.15, linewidth=0)
        warm = minute * 60 >= warm_up_s
        change.plot(minute[warm], low[warm] - low[warm][0], **kind)
        last = max(last, float(minute[-1]))
    change.fill_between(
        [warm_up_s / 60, last],
        0,
        [0, goal * (last - warm_up_s / 60) / 60],
        color=style.REFERENCE,
        alpha=0.2,
        linewidth=0,
    )
    change.set_title(f"grey: {goal:g} MB an hour", loc="left", fontsize=8.5, color=style.REFERENCE)
    memory.set_title(
        "private memory; lines: the lowest of a sixtieth of the time, bands: up to its highest",
        loc="left",
        fontsize=8.5,
        color=style.REFERENCE,
    )
    memory.set_ylabel("MB")
    memory.set_ylim(bottom=0)
    change.set_ylabel("MB more than after the warm-up")
    change.set_xlabel("minutes")
    style.legend_below(figure, *memory.get_legend_handles_labels(), columns=5)
    style.save(figure, path.with_suffix(".png"))


def finding(slopes: dict[str, Slope], goal: float) -> str:
    steepest = max(slopes, key=lambda name: slopes[name].an_hour)
    most = slopes[steepest].an_hour
    if most <= goal:
        return f"No process gains more than {goal:g} MB an hour"
    return f"{steepest.capitalize()} gains {most:.{1 if most < 10 else 0}f} MB an hour"


def label(role: str) -> str:
    return {"inference": "inference workers", "learner": "learners"}.get(role, role)
