"""The stagger timeline: which inference ran when, and which tick its action acted on. Drawn from a run folder alone."""

import itertools

import numpy as np
from matplotlib.patches import Patch

from rtrl_jax import actions, stagger
from rtrl_jax.board.records import APPLIED
from rtrl_jax.errors import UserError
from rtrl_jax.plots import style
from rtrl_jax.plots.sources import Run


def draw(runs: list[Run], titles: list[str] | None, first_tick: int, ticks: int):
    """A figure with one panel for each run, over a window of ticks. Raises UserError if a run has no such ticks.

    Args: titles: one for each run; None to have them say what is found.
    """
    workers = [rows_of(run) for run in runs]
    figure, panels = style.plt.subplots(
        len(runs),
        1,
        figsize=(9, 0.75 + sum(0.9 + 0.3 * n for n in workers)),
        height_ratios=[2.2 + n for n in workers],
        squeeze=False,
        layout="constrained",
    )
    for axes, run, title, count in zip(panels[:, 0], runs, titles or [None] * len(runs), workers, strict=True):
        if first_tick + ticks >= len(run.ticks["boundary_ns"]):
            raise UserError(f"the run has {len(run.ticks['boundary_ns'])} ticks: choose an earlier --first_tick")
        _draw_run(axes, run, title or finding(run, first_tick, ticks), count, first_tick, ticks)
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


def rows_of(run: Run) -> int:
    """One for each of its workers, those that never decided anything included."""
    return max(run.summary["inference"].get("workers", 1), int(run.decisions["worker"].max(initial=0)) + 1)


def finding(run: Run, first_tick: int, ticks: int) -> str:
    """What the window shows, in a sentence."""
    shown = slice(first_tick, first_tick + ticks)
    acted = ~run.ticks["is_default"][shown]
    delay = (run.ticks["tick"] - run.ticks["obs_tick"])[shown][acted]
    if run.summary.get("interaction", "async") == "async":
        count, way = run.summary["inference"]["workers"], run.summary["inference"]["stagger"]
        who = f"{count} worker{'s' * (count != 1)}, {stagger.label_of(way)}"
    else:
        who = "One process thinks, then acts"
    acts = "an action at every tick" if acted.all() else f"β acts on {(~acted).sum()} of {ticks} ticks"
    if not len(delay):
        return f"{who}: no action at all"
    old = f"{delay.min()}" if delay.min() == delay.max() else f"{delay.min()} to {delay.max()}"
    return f"{who}: {acts}; actions are {old} tick{'s' * int(delay.max() > 1)} old"


def _draw_run(axes, run: Run, title: str, workers: int, first_tick: int, ticks: int) -> None:
    table, decisions = run.ticks, run.decisions
    origin = table["boundary_ns"][first_tick]
    window = table["boundary_ns"][first_tick : first_tick + ticks + 1]
    boundaries = (window - origin) / 1e6
    for boundary in boundaries:
        axes.axvline(boundary, color=style.GRID, linewidth=0.8, zorder=0)

    for tick, (left, right) in enumerate(itertools.pairwise(boundaries), first_tick):
        worker = int(table["worker"][tick])
        colour = "white" if worker < 0 else style.COLOURS[worker % len(style.COLOURS)]
        axes.barh(0, right - left, left=left, height=0.8, color=colour, edgecolor="black", linewidth=0.8)
        axes.text(
            (left + right) / 2,
            0,
            "β" if worker < 0 else actions.text(table["action"][tick]),
            ha="center",
            va="center",
            fontsize=8,
            color="black" if worker < 0 else "white",
        )

    seen = (decisions["end_ns"] > window[0]) & (decisions["start_ns"] < window[-1])
    for index in np.flatnonzero(seen):
        worker, status = int(decisions["worker"][index]), int(decisions["status"][index])
        parts = [
            (decisions[f"{name}_ns"][index] - origin) / 1e6 for name in ("start", "trunk_end", "head_start", "end")
        ]
        end = parts[-1]
        colour = style.COLOURS[worker % len(style.COLOURS)]
        row = worker + 1.2
        if status == APPLIED:
            _bar(axes, row, *parts, color=colour)
            acts = (table["boundary_ns"][decisions["apply_tick"][index]] - origin) / 1e6
            axes.plot([end, acts, acts], [row, row, 0.4], color=colour, linewidth=1, linestyle=":", zorder=1)
        else:
            _bar(axes, row, *parts, color="white", edgecolor=colour, hatch="////")
    axes.set_yticks([0, *(worker + 1.2 for worker in range(workers))])
    axes.set_yticklabels(["acts", *(f"worker {worker}" for worker in range(workers))])
    axes.set_xlim(boundaries[0], boundaries[-1])
    axes.set_ylim(workers + 0.7, -0.7)
    if run.summary["inference"]["emulated"]:
        title += "  (emulated)"
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.tick_params(axis="y", length=0)
    style.plain(axes, grid="x")
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)


def _bar(axes, row: float, start: float, trunk_end: float, head_start: float, end: float, **look) -> None:
    """An inference, from its start to its end; with a late head its trunk, a thin line for the wait, and the head."""
    if head_start > trunk_end:
        axes.barh(row, head_start - trunk_end, left=trunk_end, height=0.1, zorder=2, **look)
        least = (axes.get_xlim()[1] - axes.get_xlim()[0]) / 200  # so that it is seen
        axes.barh(row, max(end - head_start, least), left=head_start, height=0.6, zorder=2, **look)
    axes.barh(row, trunk_end - start, left=start, height=0.6, zorder=2, **look)
