"""N*, the inference workers it takes to act at every tick, against the inference time and against the network's size.

Drawn from a table (CSV) with the columns tau_ticks (mean inference time in ticks), parameters (may be empty), algorithm, workers
(what the algorithm's formula asks for; may be empty) and obtained (the least number that acted at every tick, as measured).
"""

import pathlib

from matplotlib.ticker import FuncFormatter, NullFormatter

from rtrl_jax.errors import UserError
from rtrl_jax.plots import sources, style
from rtrl_jax.plots.against import short

COLUMNS = ("tau_ticks", "parameters", "algorithm", "workers", "obtained")


def read(path: str) -> list[dict]:
    """The table. Raises UserError."""
    rows = sources.read_table(pathlib.Path(path), COLUMNS)
    for number, row in enumerate(rows, 2):
        for name in ("tau_ticks", "obtained"):
            if not isinstance(row[name], float) or row[name] <= 0:
                raise UserError(f"{path}, line {number}: {name} should be a number above 0, not {row[name]}")
        for name in ("parameters", "workers"):
            if row[name] is not None and (not isinstance(row[name], float) or row[name] <= 0):
                raise UserError(f"{path}, line {number}: {name} should be empty or a number above 0, not {row[name]}")
    return rows


def draw(rows: list[dict]):
    """A figure with a panel for each of inference time and parameters that differs between the rows."""
    sized = [row for row in rows if row["parameters"] is not None]
    by_size = len({row["parameters"] for row in sized}) > 1
    figure, axes = style.panels(
        1, 1 + by_size, width=9.5 if by_size else 6.5, height=4.4, title=finding(rows), sharey=True
    )
    algorithms = list(dict.fromkeys(str(row["algorithm"]) for row in rows))
    views = [("tau_ticks", rows, r"mean inference time $\bar{\tau}_\theta/\tau_M$ (ticks)")]
    if by_size:
        views.append(("parameters", sized, "parameters of the network"))
    for one, (x, table, label) in zip(axes[0], views, strict=True):
        for algorithm, look in zip(algorithms, style.looks(algorithms), strict=True):
            _line(one, [row for row in table if str(row["algorithm"]) == algorithm], x, algorithm, look)
        values = sorted({row[x] for row in table})
        one.set_xscale("log")
        one.set_yscale("log")
        one.set_xlabel(label)
        if len(values) <= 9:
            one.set_xticks(values)
        one.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        one.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        one.xaxis.set_minor_formatter(NullFormatter())
        one.grid(axis="x", color=style.GRID, linewidth=0.8)
    axes[0, 0].set_ylabel("inference workers N* (processes)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    style.legend_below(figure, handles, labels, columns=len(algorithms))
    return figure


def _line(axes, rows: list[dict], x: str, algorithm: str, look: style.Look) -> None:
    if not rows:
        return
    rows = sorted(rows, key=lambda row: row[x])
    name = style.name_of(algorithm)
    axes.plot(
        [row[x] for row in rows],
        [row["obtained"] for row in rows],
        label=f"{name}, measured",
        **style.marks(look) | {"linewidth": 0},
    )
    predicted = [row for row in rows if row["workers"] is not None]
    if predicted:
        axes.plot(
            [row[x] for row in predicted],
            [row["workers"] for row in predicted],
            color=look.colour,
            dashes=look.dashes or (None, None),
            linewidth=1.3,
            label=f"{name}, formula",
        )


def finding(rows: list[dict]) -> str:
    """What the table shows, in a sentence."""
    most = max(row["tau_ticks"] for row in rows)
    there = {str(row["algorithm"]): row["obtained"] for row in rows if row["tau_ticks"] == most}
    least = min(there, key=there.get)
    first = f"At {most:g} ticks an inference, {style.name_of(least)} acts at every tick with {there[least]:g} workers"
    others = [f"{style.name_of(name)} needs {count:g}" for name, count in there.items() if count > there[least]]
    same = [style.name_of(name) for name, count in there.items() if count == there[least] and name != least]
    if same:
        first += f", as do{'es' * (len(same) == 1)} {' and '.join(same)}"
    return first + (";\n" + ", ".join(others) if others else "")
