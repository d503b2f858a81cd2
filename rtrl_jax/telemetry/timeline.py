"""The stagger timeline: which inference ran when, and which tick its action acted on. Drawn from a run folder alone."""

import itertools
import json
import pathlib
import zipfile

import matplotlib
import numpy as np

from rtrl_jax.board.layout import APPLIED
from rtrl_jax.errors import UserError

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import Patch

# Okabe and Ito's colours, told apart by people who see few colours; their greys differ too.
WORKER_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")


def load(run_dir: str) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of a run: {"ticks": {...}, "decisions": {...}}. Raises UserError if it is no finished run."""
    folder, runs = pathlib.Path(run_dir), {}
    for name in ("ticks", "decisions"):
        try:
            with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
                runs[name] = {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{folder} holds no finished run: {name}.npz cannot be read ({error})") from None
    try:
        summary = json.loads((folder / "summary.json").read_text())
        runs["emulated"] = summary["inference"]["emulated"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder} holds no finished run: summary.json cannot be read ({error})") from None
    return runs


def draw(runs: list[dict], titles: list[str], first_tick: int, ticks: int) -> plt.Figure:
    """One panel for each run, over a window of ticks. Raises UserError if a run has no such ticks."""
    workers = [int(run["decisions"]["worker"].max(initial=0)) + 1 for run in runs]
    figure, panels = plt.subplots(
        len(runs),
        1,
        figsize=(9, 0.75 + sum(0.9 + 0.3 * n for n in workers)),
        height_ratios=[2.2 + n for n in workers],
        squeeze=False,
        layout="constrained",
    )
    for axes, run, title, count in zip(panels[:, 0], runs, titles, workers, strict=True):
        if first_tick + ticks >= len(run["ticks"]["boundary_ns"]):
            raise UserError(f"the run has {len(run['ticks']['boundary_ns'])} ticks: choose an earlier --first_tick")
        _draw_run(axes, run, title, count, first_tick, ticks)
    panels[-1, 0].set_xlabel("time (ms)")
    figure.legend(
        handles=[
            Patch(facecolor="#888888", label="inference whose action acted"),
            Patch(facecolor="white", edgecolor="#888888", hatch="////", label="inference that came to nothing"),
            Patch(facecolor="white", edgecolor="black", label="β, the default action, acted"),
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return figure


def _draw_run(axes, run, title: str, workers: int, first_tick: int, ticks: int) -> None:
    table, decisions = run["ticks"], run["decisions"]
    origin = table["boundary_ns"][first_tick]
    window = table["boundary_ns"][first_tick : first_tick + ticks + 1]
    boundaries = (window - origin) / 1e6
    for boundary in boundaries:
        axes.axvline(boundary, color="#dddddd", linewidth=0.8, zorder=0)

    for tick, (left, right) in enumerate(itertools.pairwise(boundaries), first_tick):
        worker = int(table["worker"][tick])
        colour = "white" if worker < 0 else WORKER_COLOURS[worker % len(WORKER_COLOURS)]
        axes.barh(0, right - left, left=left, height=0.8, color=colour, edgecolor="black", linewidth=0.8)
        axes.text(
            (left + right) / 2,
            0,
            "β" if worker < 0 else str(int(table["action"][tick])),
            ha="center",
            va="center",
            fontsize=8,
            color="black" if worker < 0 else "white",
        )

    seen = (decisions["end_ns"] > window[0]) & (decisions["start_ns"] < window[-1])
    for index in np.flatnonzero(seen):
        worker, status = int(decisions["worker"][index]), int(decisions["status"][index])
        start, end = ((decisions[name][index] - origin) / 1e6 for name in ("start_ns", "end_ns"))
        colour = WORKER_COLOURS[worker % len(WORKER_COLOURS)]
        row = worker + 1.2
        if status == APPLIED:
            axes.barh(row, end - start, left=start, height=0.6, color=colour, zorder=2)
            acts = (table["boundary_ns"][decisions["apply_tick"][index]] - origin) / 1e6
            axes.plot([end, acts, acts], [row, row, 0.4], color=colour, linewidth=1, linestyle=":", zorder=1)
        else:
            axes.barh(row, end - start, left=start, height=0.6, color="white", edgecolor=colour, hatch="////", zorder=2)
    axes.set_yticks([0, *(worker + 1.2 for worker in range(workers))])
    axes.set_yticklabels(["acts", *(f"worker {worker}" for worker in range(workers))])
    axes.set_xlim(boundaries[0], boundaries[-1])
    axes.set_ylim(workers + 0.7, -0.7)
    if run["emulated"]:
        title += " (inference times emulated)"
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
