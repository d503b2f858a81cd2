"""Reading the committed tables, and what is worked out from their rows: means with intervals over seeds, slopes."""

import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from rtrl_jax.plots import sources
from rtrl_jax.statistics import half_width

SEEDS = 5  # that the rules of results/paper ask for
Rows = list[dict]


class NotRun(dict):
    """Facts of a page whose tables are not all there: each that it lacks is that it is not run."""

    def __missing__(self, name: str) -> str:
        return "not run yet"


def read(path: pathlib.Path, *columns: str) -> Rows:
    """Numbers as floats, what is empty as None; no rows where there is no such file. Raises UserError if a column is missing."""
    return sources.read_table(path, columns) if path.exists() else []


def where(rows: Rows, **values) -> Rows:
    """Those whose columns have these values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


class Mean(NamedTuple):
    """Over seeds."""

    mean: float
    half: float | None  # half the 95 % interval (Student's t); None for one seed, which has none
    seeds: int
    values: list[float]

    def text(self, form: str = ".2f") -> str:
        """3.10 (2.95 … 3.25), or 3.10 where nothing varies or one seed is all there is."""
        if not self.half:
            return format(self.mean, form)
        return f"{self.mean:{form}} ({self.mean - self.half:{form}} … {self.mean + self.half:{form}})"


def mean(rows: Rows, column: str) -> Mean | None:
    """None if a row has no value there, or there are no rows."""
    values = [row[column] for row in rows]
    if not values or None in values:
        return None
    half = half_width(np.array(values))
    return Mean(float(np.mean(values)), None if half is None else float(half), len(values), values)


def settled(verdict: str, rows: Rows) -> str:
    """The verdict by a page's own rule, which asks for as many seeds: with fewer it is not settled, whatever they show."""
    seeds = len({row["seed"] for row in rows})
    return verdict if seeds >= SEEDS else f"not settled: {seeds} of {SEEDS} seeds, so far {verdict}"


def against(rows: Rows, x: str, summarise: Callable[[Rows], Mean | None]) -> list[tuple[float, Mean]]:
    """(x, summary) by ascending x, without those that have none."""
    found = [(value, summarise(where(rows, **{x: value}))) for value in sorted({row[x] for row in rows})]
    return [(value, one) for value, one in found if one is not None]


class Slope(NamedTuple):
    """Of a line in logarithms: 1 is proportional."""

    slope: float
    half: float  # half its 95 % interval
    points: int

    def text(self) -> str:
        return f"{self.slope:.3f} ± {self.half:.3f}"

    @property
    def is_linear(self) -> bool:
        """Whether the whole interval lies within 0.95 … 1.05."""
        return self.slope - self.half >= 0.95 and self.slope + self.half <= 1.05


def slope(xs: Sequence[float], ys: Sequence[float]) -> Slope | None:
    """Least squares of log y on log x; None for fewer than three different xs."""
    if len(set(xs)) < 3:
        return None
    line = stats.linregress(np.log(xs), np.log(ys))
    return Slope(float(line.slope), float(stats.t.ppf(0.975, len(xs) - 2) * line.stderr), len(xs))


def markdown(heads: Sequence[str], lines: Sequence[Sequence]) -> str:
    """A table of text."""
    rows = [list(heads), ["---"] * len(heads), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def count(number: float) -> str:
    """55,000 -> 55 K."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= 0.95 * size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"
