"""What learning looks like inside: Q and what it is drawn to, |TD|, the gradient's norm and inactive units, against updates."""

import zipfile
from typing import NamedTuple

import numpy as np

from rtrl_jax.errors import UserError
from rtrl_jax.plots import style
from rtrl_jax.plots.sources import Group, Run

POINTS = 200  # of a run's curve
COLUMNS = ("q", "target_q", "td_error", "gradient_norm", "inactive")
PANELS = {
    "mean Q (line) and target (dots)": ("q", "target_q"),
    "mean |TD error|": ("td_error",),
    "gradient's norm before the clip": ("gradient_norm",),
    "inactive hidden units (%)": ("inactive",),
}


class Curves(NamedTuple):
    updates: dict[str, np.ndarray]  # by column, [points] each
    values: dict[str, np.ndarray]


def draw(groups: list[Group]):
    """A figure with a line for each run, in its group's colour. Raises UserError if one of them did not learn."""
    curves = [(group.label, [read(run) for run in group.runs]) for group in groups]
    figure, axes = style.panels(2, 2, width=9.5, height=6.4, title=finding(curves), sharex=True)
    for (label, runs), look in zip(curves, style.looks([label for label, _ in curves]), strict=True):
        for number, run in enumerate(runs):
            for one, columns in zip(axes.ravel(), PANELS.values(), strict=True):
                for column, dashes in zip(columns, (look.dashes or (None, None), (1, 2)), strict=False):
                    name = label if number == 0 and column == "td_error" else None
                    scale = 100 if column == "inactive" else 1
                    x, y = run.updates[column], scale * run.values[column]
                    one.plot(x, y, color=look.colour, linewidth=1.2, dashes=dashes, label=name)
    for one, title in zip(axes.ravel(), PANELS, strict=True):
        one.set_title(title, loc="left", fontsize=9.5)
        one.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes[1, 1].set_ylim(0, 100)
    for one in axes[1]:
        one.set_xlabel("updates")
    style.legend_below(figure, *axes[0, 1].get_legend_handles_labels(), columns=3)
    return figure


def read(run: Run) -> Curves:
    """Means over as many updates as make POINTS. Raises UserError."""
    try:
        with np.load(run.folder / "updates.npz", allow_pickle=False) as arrays:
            found = {name: arrays[name].astype(float) for name in COLUMNS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{run.folder} has no diagnostics of learning: updates.npz cannot be read ({error})") from None
    if not len(found["q"]):
        raise UserError(f"{run.folder} has no diagnostics of learning: it made no update")
    updates, values = {}, {}
    for name, column in found.items():
        there = np.flatnonzero(~np.isnan(column))  # inactive units are counted now and then
        parts = np.array_split(there, max(1, min(POINTS, len(there))))
        updates[name] = np.array([part.mean() for part in parts if len(part)])
        values[name] = np.array([column[part].mean() for part in parts if len(part)])
    return Curves(updates, values)


def finding(curves: list[tuple[str, list[Curves]]]) -> str:
    """What became of the hidden units, in a sentence for each group."""
    lines = []
    for label, runs in curves[:3]:
        counted = [run.values["inactive"] for run in runs if len(run.values["inactive"])]
        if not counted:
            return "Nobody counted inactive units"
        first, last = (float(np.mean([values[at] for values in counted])) for at in (0, -1))
        if abs(last - first) < 0.01:
            lines.append(f"{label}: {last:.0%} of the hidden units are inactive throughout")
        else:
            change = "rise" if last > first else "fall"
            lines.append(f"{label}: inactive units {change} from {first:.0%} to {last:.0%}")
    return "\n".join(lines)
