"""Learning curves: the return of an episode against ticks or time, the mean over seeds with its 95 % interval (Student's t)."""

from typing import NamedTuple

import numpy as np

from rtrl_jax.errors import UserError
from rtrl_jax.plots import style
from rtrl_jax.plots.sources import Group, Run
from rtrl_jax.statistics import half_width

POINTS = 200


class Curve(NamedTuple):
    label: str
    x: np.ndarray  # [n] ticks, or seconds of the run
    mean: np.ndarray  # [n]
    half: np.ndarray | None  # [n] half the interval's width; None for one seed
    seeds: int


def draw(groups: list[Group], x: str, window: int):
    """Args: x: "ticks" or "time". window: episodes that a point of a run's curve is the mean of."""
    curves = [curve(group, x, window) for group in groups]
    emulated = any(run.summary["inference"]["emulated"] for group in groups for run in group.runs)
    figure, axes = style.panels(1, 1, width=8, height=4.6, title=finding(curves))
    axes = axes[0, 0]
    unit, name = (1, "ticks") if x == "ticks" else _unit(max(one.x[-1] for one in curves))
    for number, (one, look) in enumerate(zip(curves, style.looks([one.label for one in curves]), strict=True)):
        kind = style.marks(look) | {"markevery": (number * 5 % 25, 25)}
        seeds = f"{one.seeds} seed{'s' * (one.seeds > 1)}"
        axes.plot(one.x / unit, one.mean, label=f"{one.label} ({seeds})", zorder=3, **kind)
        if one.half is not None:
            axes.fill_between(
                one.x / unit, one.mean - one.half, one.mean + one.half, color=look.colour, alpha=0.18, linewidth=0
            )
            for edge in (one.mean - one.half, one.mean + one.half):
                axes.plot(one.x / unit, edge, color=look.colour, linewidth=0.5, alpha=0.7)
    axes.set_xlabel(f"{name}{' of the world' if x == 'ticks' else ' of play'}")
    axes.set_ylabel(f"return of an episode (mean of the last {window})")
    axes.set_xlim(left=0)
    if x == "ticks":
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    style.legend_below(figure, *axes.get_legend_handles_labels(), columns=3)
    note = (
        "bands: 95 % intervals of the mean over seeds (Student's t)" if any(c.half is not None for c in curves) else ""
    )
    note += ("; " if note and emulated else "") + ("inference times emulated" if emulated else "")
    axes.set_title(note, loc="left", fontsize=8.5, color=style.REFERENCE)
    return figure


def curve(group: Group, x: str, window: int) -> Curve:
    """The group's mean where all its runs have one. Raises UserError if a run finished no episode."""
    ends, values = zip(*(smoothed(run, x, window) for run in group.runs), strict=True)
    grid = np.linspace(max(one[0] for one in ends), min(one[-1] for one in ends), POINTS)
    if grid[-1] < grid[0]:
        raise UserError(f"the runs of {group.label} have no time in common")
    at = np.array(
        [value[np.searchsorted(end, grid, side="right") - 1] for end, value in zip(ends, values, strict=True)]
    )
    return Curve(group.label, grid, at.mean(axis=0), half_width(at), len(at))


def smoothed(run: Run, x: str, window: int) -> tuple[np.ndarray, np.ndarray]:
    """When each episode ended, and the mean return of the last `window` until then: [episodes] each."""
    ticks = run.ticks
    ended = ticks["terminated"] | ticks["truncated"]
    if not ended.any():
        raise UserError(f"{run.folder} finished no episode, so it has no learning curve")
    first = int(ticks["episode"][0])
    returns = np.bincount(ticks["episode"] - first, weights=ticks["reward"])[: int(ended.sum())]
    total = np.concatenate([[0.0], np.cumsum(returns)])
    last = np.arange(1, len(returns) + 1)
    begin = np.maximum(last - window, 0)
    when = ticks["tick"][ended] + 1.0
    if x == "time":
        when = (when + np.cumsum(ticks["slipped"])[ended]) / run.summary["rate_hz"]
    return when, (total[last] - total[begin]) / (last - begin)


def finding(curves: list[Curve]) -> str:
    """What the curves show, in a sentence."""
    ends = sorted(curves, key=lambda one: -one.mean[-1])
    best = ends[0]
    if len(curves) == 1:
        before, after = best.mean[0], best.mean[-1]
        half = 0 if best.half is None else best.half[0] + best.half[-1]
        if abs(after - before) <= half:
            return f"{best.label}: the return stays at {_number(after)}, as far as {best.seeds} seeds can tell"
        return f"{best.label}: the return {'rises' if after > before else 'falls'} from {_number(before)} to {_number(after)}"
    halves = [0 if one.half is None else one.half[-1] for one in ends[:2]]
    gap = best.mean[-1] - ends[1].mean[-1]
    between = f"{_number(best.mean[-1])} an episode, {ends[1].label} {_number(ends[1].mean[-1])}"
    if min(one.seeds for one in ends[:2]) < 2:
        return f"At the end {best.label} earns {between}\n(too few seeds to tell luck from merit)"
    if gap <= np.hypot(*halves):
        return f"At the end {best.label} earns {between}:\nno difference that these seeds can tell from chance"
    return f"At the end {best.label} earns {between}"


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _unit(seconds: float) -> tuple[float, str]:
    return next(
        (each, name)
        for each, name in ((3600, "hours"), (60, "minutes"), (1, "seconds"))
        if seconds > 2 * each or each == 1
    )
