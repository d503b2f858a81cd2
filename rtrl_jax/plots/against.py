"""Return against delay or against parameters: points with 95 % intervals, from evaluations, runs or tables.

A point's interval is the one its source gives (an evaluation's is a bootstrap over episodes); several rows for one point are
seeds, and give Student's t.
"""

import pathlib
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter

from rtrl_jax.errors import UserError
from rtrl_jax.plots import sources, style
from rtrl_jax.statistics import half_width

AXES = {"delay": "delay from observation to action (ticks)", "parameters": "parameters of the network"}

TOLD = ("environment", "policy", "interaction", "stagger")  # flags that a panel or a series is called by in any case
NO_SERIES = {  # flags that are what a picture is drawn against, or are told
    "delay": (*TOLD, "delay", "emulated_inference_ms", "inference_latency_ms"),
    "parameters": (*TOLD, "parameters", "width"),
}


class Row(NamedTuple):
    """One measurement."""

    panel: str  # the environment
    series: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


class Point(NamedTuple):
    x: float
    y: float
    low: float | None
    high: float | None


def read(results: list[str], x: str, y_column: str = "return", series: dict[str, str] | None = None) -> list[Row]:
    """Measurements out of evaluations' and runs' folders, their summary.json files, or tables.

    Args:
      x: "delay" or "parameters", and so called in tables, which also have `y_column` and may have environment, series, low, high
        and, for several rows of one point, seed.
      series: words by run folder that tell its series from others of the same stagger.

    Raises:
      UserError: what is named holds nothing of the kind.
    """
    rows = []
    for name in results:
        path = pathlib.Path(name)
        if path.suffix == ".csv":
            table = sources.read_table(path, (x, y_column))
            rows += [
                Row(
                    str(one.get("environment") or ""),
                    str(one.get("series") or ""),
                    one[x],
                    one[y_column],
                    one.get("low"),
                    one.get("high"),
                )
                for one in table
            ]
            continue
        report = sources.read_json(path / "summary.json" if path.is_dir() else path)
        folder = path if path.is_dir() else path.parent
        rows += _of_evaluation(report, x) if "rows" in report else _of_run(report, x, folder, (series or {}).get(name))
    rows = [row for row in rows if row.x is not None and row.y is not None]
    if not rows:
        raise UserError(f"--results={','.join(results)} say nothing of return against {x}")
    for row in rows:
        if any(isinstance(value, str) for value in row[2:]) or row.x <= 0:
            raise UserError(
                f"--results: {x} {row.x} with return {row.y} is no point to draw: give numbers, {x} above 0"
            )
    return rows


def _of_evaluation(report: dict, x: str) -> list[Row]:
    if x == "parameters":
        raise UserError("an evaluation does not say how many parameters its network has: give runs or a table")
    return [
        Row(row["environment"], row["policy"], row[x], row["mean"], *row["mean_interval"]) for row in report["rows"]
    ]


def _of_run(report: dict, x: str, folder: pathlib.Path, series: str | None) -> list[Row]:
    try:
        way = report["inference"]["stagger"] if report["interaction"] == "async" else report["interaction"]
        value = report["delay"]["mean"] if x == "delay" else report["parameters"]
        policy = sources.policy(folder)
        name = ", ".join(part for part in (series, way, policy if policy != "agent" else "") if part)
        return [Row(report["environment"], name, value and round(value, 1), report["episodes"]["return_mean"])]
    except (KeyError, TypeError):
        raise UserError("--results: a summary.json that is neither an evaluation's nor a run's") from None


def points(rows: list[Row]) -> dict[str, dict[str, list[Point]]]:
    """{panel: {series: points by ascending x}}."""
    found: dict[str, dict[str, list[Point]]] = {}
    for panel in dict.fromkeys(row.panel for row in rows):
        for series in dict.fromkeys(row.series for row in rows if row.panel == panel):
            mine = [row for row in rows if (row.panel, row.series) == (panel, series)]
            at = {x: [row for row in mine if row.x == x] for x in sorted({row.x for row in mine})}
            found.setdefault(panel, {})[series] = [_point(x, same) for x, same in at.items()]
    return found


def _point(x: float, rows: list[Row]) -> Point:
    values = np.array([row.y for row in rows])
    half = half_width(values)
    if half is not None:
        return Point(x, values.mean(), values.mean() - half, values.mean() + half)
    return Point(x, rows[0].y, rows[0].low, rows[0].high)


def draw(rows: list[Row], x: str):
    """A figure with one panel for each environment, one line for each series."""
    found = points(rows)
    columns = min(3, len(found))
    lines = -(-len(found) // columns)
    width = {1: 7.0, 2: 9.0, 3: 11.5}[columns]
    figure, axes = style.panels(lines, columns, width=width, height=0.9 + 3.4 * lines, title=finding(found, x))
    names = list(dict.fromkeys(series for panel in found.values() for series in panel))
    looks = dict(zip(names, style.looks(names), strict=True))
    for one, (panel, series) in zip(axes.ravel(), found.items(), strict=False):
        one.set_title(panel, loc="left", fontsize=9.5)
        for name, line in series.items():
            _line(one, line, style.name_of(name), looks[name])
        _scale(one, [point.x for line in series.values() for point in line], x)
    for one in axes.ravel()[len(found) :]:
        one.set_visible(False)
    for row in axes:
        row[0].set_ylabel("return of an episode")
    labels = {}
    for one in axes.ravel()[: len(found)]:
        labels |= dict(zip(*reversed(one.get_legend_handles_labels()), strict=True))
    if any(labels):
        style.legend_below(figure, list(labels.values()), list(labels))
    return figure


def _line(axes, line: list[Point], name: str, look: style.Look) -> None:
    has = [point.low is not None and point.high is not None for point in line]
    errors = [
        [point.y - point.low if there else 0.0 for point, there in zip(line, has, strict=True)],
        [point.high - point.y if there else 0.0 for point, there in zip(line, has, strict=True)],
    ]
    axes.errorbar(
        [point.x for point in line],
        [point.y for point in line],
        yerr=errors if any(has) else None,
        label=name,
        capsize=2.5,
        elinewidth=1.2,
        **style.marks(look),
    )


def _scale(axes, values: list[float], x: str) -> None:
    axes.set_xlabel(AXES[x])
    if max(values) < 4 * min(values):
        return
    axes.set_xscale("log")
    if len(set(values)) <= 8:
        axes.set_xticks(sorted(set(values)))
    axes.set_xlim(min(values) / 1.3, max(values) * 1.3)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def short(count: float) -> str:
    """55,000 -> 55 K."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return f"{count:g}"


def finding(found: dict[str, dict[str, list[Point]]], x: str) -> str:
    """What the points show, in a sentence."""
    lines = [(panel, name, line) for panel, series in found.items() for name, line in series.items() if len(line) > 1]
    if not lines:
        return f"One value of {'the delay' if x == 'delay' else 'the size'} only: nothing to compare"
    falling = [line for line in lines if _change(line[2]) < 0]
    rising = [line for line in lines if _change(line[2]) > 0]
    word = "delay" if x == "delay" else "size"
    if len(lines) > 1:
        if not falling and not rising:
            return f"No line shows an effect of {word} that its intervals can tell"
        told = [f"{verb} for {_who(some, lines)}" for verb, some in (("falls", falling), ("rises", rising)) if some]
        rest = len(lines) - len(falling) - len(rising)
        unclear = f"; for the other{'s' * (rest > 1)} the intervals cannot tell" if rest else ""
        return f"With {word} the return {' and '.join(told)}{unclear}"
    panel, name, line = lines[0]
    what = ": ".join(part for part in (panel or name,) if part)
    first, last = line[0], line[-1]
    ends = f"{_at(first, x)} to {_at(last, x)}"
    before, after = f"{first.y:.3g}", f"{last.y:.3g}"
    prefix = f"{what}: " if what else ""
    if _change(line) == 0:
        return f"{prefix}from {ends}, the return's change from {before} to {after}\nis none that its intervals can tell"
    return f"{prefix}the return {'falls' if last.y < first.y else 'rises'} from {before} to {after} from {ends}"


def _who(some: list[tuple], lines: list[tuple]) -> str:
    """Names if they are few, else their number."""
    if len(some) == len(lines):
        return "all"
    names = [", ".join(part for part in (panel, style.name_of(name)) if part) for panel, name, _ in some]
    return f"{len(some)} of {len(lines)} lines" if len(some) > 1 and len(" ".join(names)) > 40 else " and ".join(names)


def _at(point: Point, x: str) -> str:
    return f"delay {point.x:g}" if x == "delay" else f"{short(point.x)} parameters"


def _change(line: list[Point]) -> int:
    """1 or -1 if the intervals of the first and last point do not meet, else 0; without intervals the sign of the difference."""
    first, last = line[0], line[-1]
    bounds = (first.low, first.high, last.low, last.high)
    if any(bound is None for bound in bounds):
        return int(np.sign(last.y - first.y))
    if last.low > first.high:
        return 1
    return -1 if last.high < first.low else 0
