"""The table of docs/semantics.md, played by the real loops, next to what an independent simulation of the design gave."""

from collections.abc import Callable
from typing import NamedTuple

from rtrl_jax.studies.latencies import constant, exploring, gamma, normal, outliers
from rtrl_jax.virtual_time.simulate import Counter, Tau, simulate

TICKS = 20_000
COLUMNS = {  # name -> (heading, interaction, quantile)
    "none": ("none", "none", 0.0),
    "max_time": ("Algorithm 1", "max_time", 0.0),
    "bounded": ("bounded, 0.99", "max_time", 0.99),
    "expected_time": ("Algorithm 2", "expected_time", 0.0),
    "ticket": ("ticket with playout", "ticket", 0.0),
}


class Row(NamedTuple):
    label: str
    tau: Tau
    workers: int  # of all but tickets
    ticket: tuple[int, int, Tau | None]  # workers, D as the design states it, and the inference times if they differ
    design: dict  # column -> (inaction, delay), where it states them


ROWS = (
    Row(
        "constant 9.99, N = 10",
        constant(9.99),
        10,
        (10, 10, None),
        {"none": (0.90, 11), "max_time": (0.000, 11), "expected_time": (0.000, 11), "ticket": (0.000, 10)},
    ),
    Row(
        "normal 10 ± 0.5, N = 12",
        normal(10, 0.5),
        12,
        (11, 12, None),
        {"none": (0.31, 10.8), "max_time": (0.26, 12.8), "expected_time": (0.31, 10.8), "ticket": (0.001, 12)},
    ),
    Row(
        "gamma, mean 10, cv 0.5, N = 20",
        gamma(10, 0.5),
        20,
        (11, 26, None),
        {"none": (0.55, 5.9), "max_time": (0.63, 42.7), "expected_time": (0.55, 5.9), "ticket": (0.016, 26)},
    ),
    Row(
        "9.99 or 0.05 at even odds, N = 12",
        exploring(constant(9.99), 0.5),
        12,
        (8, 11, None),
        {"none": (0.53, 1.0), "max_time": (0.01, 11), "expected_time": (0.53, 1.0), "ticket": (0.002, 11)},
    ),
    Row(
        "9.99 with one outlier of 60, N = 12 (ticket: one every 300)",
        outliers(constant(9.99), 60),
        12,
        (11, 10, outliers(constant(9.99), 60, every=300)),
        {"none": (0.89, 11), "max_time": (0.82, 61), "expected_time": (0.000, 11), "ticket": (0.003, 10)},
    ),
)


class Cell(NamedTuple):
    row: str
    column: str
    workers: int
    inaction: float
    delay: float  # mean, in ticks
    playout: int  # D in force at the end; 0 without playout
    design: tuple | None


def cells(ticks: int = TICKS) -> list[Callable[[], Cell]]:
    """The table's cells, row by row, each a function that plays it."""
    return [(lambda r=row, c=column: _play(r, c, ticks)) for row in ROWS for column in COLUMNS]


def _play(row: Row, column: str, ticks: int) -> Cell:
    _, interaction, quantile = COLUMNS[column]
    workers, playout, tau = row.ticket if column == "ticket" else (row.workers, None, None)
    records = simulate(
        Counter(),
        lambda frame: 0,
        tau or row.tau,
        interaction=interaction,
        workers=workers,
        ticks=ticks,
        playout=playout,
        quantile=quantile,
    ).records
    acting = records[~records["is_default"]]
    return Cell(
        row.label,
        column,
        workers,
        float(records["is_default"].mean()),
        float((acting["tick"] - acting["obs_tick"]).mean()),
        int(records["playout"][-1]),
        row.design.get(column),
    )


def as_markdown(table: list[Cell]) -> str:
    """Rows and columns as in the docs; the design's figures in brackets."""
    lines = [
        "| τ | " + " | ".join(heading for heading, _, _ in COLUMNS.values()) + " |",
        "|---" * (1 + len(COLUMNS)) + "|",
    ]
    for label in dict.fromkeys(cell.row for cell in table):
        mine = {cell.column: cell for cell in table if cell.row == label}
        lines.append(f"| {label} | " + " | ".join(_text(mine[c]) if c in mine else "" for c in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def _text(cell: Cell) -> str:
    inaction = f"{cell.inaction:.2f}" if cell.inaction >= 0.1 else f"{cell.inaction:.3f}"
    how = f": N = {cell.workers}, D = {cell.playout}" if cell.column == "ticket" else ""
    design = ""
    if cell.design:
        design = f" [{cell.design[0]:.2f}, d {cell.design[1]:g}]" if cell.design[0] >= 0.1 else ""
        design = design or f" [{cell.design[0]:.3f}, d {cell.design[1]:g}]"
    return f"{inaction} (d {cell.delay:.1f}){how}{design}"
