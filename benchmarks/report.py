"""What the benchmarks share: figures with their goals, spread and machine, as results/<name>.json and results/<name>.md."""

import json
import pathlib
import sys
from typing import NamedTuple

import numpy as np

from rtrl_jax.telemetry.files import write_json, write_text
from rtrl_jax.telemetry.summary import machine, versions


class Goal(NamedTuple):
    part: str  # of the benchmark that the figure comes from
    value: float | None
    how: str  # "at most", "below", "at least", "above", "within 1 of", or nothing
    unit: str


def rows(found: dict[str, list[float]], goals: dict[str, Goal]) -> list[dict]:
    """A row for each figure. Args: found: the figures of all repeats by name."""
    return [
        {
            "name": name,
            "median": float(np.median(values)),
            "least": min(values),
            "most": max(values),
            "command": " ".join(["python", *sys.argv]),
            "unit": goals[name].unit,
            "goal": f"{goals[name].how} {goals[name].value:g}" if goals[name].value is not None else "",
            "met": _met(values, goals[name]),
        }
        for name, values in found.items()
    ]


def _met(values: list[float], goal: Goal) -> bool | None:
    if goal.value is None:
        return None
    median = float(np.median(values))
    if goal.how.startswith("within"):
        return abs(median - goal.value) <= 1
    return median >= goal.value if goal.how in ("above", "at least") else median <= goal.value


def write(out: pathlib.Path, name: str, title: str, new: list[dict], goals: dict, repeats: int, notes: str = "") -> str:
    """Writes both files; rows that were not measured now stay as they were. Returns the table."""
    out.mkdir(exist_ok=True)
    path = out / f"{name}.json"
    measured = {row["name"] for row in new}
    kept = [row for row in json.loads(path.read_text())["rows"] if row["name"] not in measured] if path.exists() else []
    order = list(goals)
    together = sorted([row for row in kept if row["name"] in order] + new, key=lambda row: order.index(row["name"]))
    report = {"machine": machine(), "versions": versions(), "repeats": repeats, "rows": together}
    text = _table(title, name, report) + (f"\n{notes}\n" if notes else "")
    write_json(path, report)
    write_text(out / f"{name}.md", text)
    return text


def _table(title: str, name: str, report: dict) -> str:
    lines = [
        f"# {title}",
        "",
        f"Median (range) of the repeats. {name}.json has the command of each row.",
        f"Machine: {report['machine']['processor']}, {report['machine']['cores']} cores, "
        f"{report['machine']['memory_gib']} GiB, {report['machine']['system']}. "
        f"Python {report['versions']['python']}, jax {report['versions']['jax']}.",
        "",
        "| figure | measured | goal | met |",
        "|---|---|---|---|",
    ]
    for row in report["rows"]:
        spread = f"{row['median']:.4g} ({row['least']:.4g} – {row['most']:.4g}) {row['unit']}"
        met = {True: "yes", False: "no", None: ""}[row["met"]]
        lines.append(f"| {row['name']} | {spread} | {row['goal']} | {met} |")
    return "\n".join(lines) + "\n"
