"""What the scaling study writes: tables of points and of fitted lines, as CSV and for reading."""

import csv
import io

from rtrl_jax import stagger
from rtrl_jax.studies.learners import LearnerPoint
from rtrl_jax.studies.scaling import Point, fit

SHOWN = ("constant", "measured")  # in table.md; the CSV has all
HEADINGS = {name: stagger.label_of(name) for name in stagger.NAMES} | {"bounded": "Algorithm 1, bounded"}


def as_csv(table: list[dict]) -> str:
    """Columns in the order of the first row; nothing stands where there is nothing."""
    text = io.StringIO()
    if table:
        writer = csv.DictWriter(text, table[0].keys(), lineterminator="\n")
        writer.writeheader()
        for row in table:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


def learner_fits(points: list[LearnerPoint]) -> list[dict]:
    """Lines of N_L* against τ_L in ticks, for each latency, or batch size, as rows like `scaling.fits`."""
    table = []
    for key in dict.fromkeys((p.latency, p.batch_size) for p in points):
        group = [p for p in points if (p.latency, p.batch_size) == key]
        found = [p for p in group if p.learners is not None]
        for counted in ("learners", "ceil"):
            line = fit([p.tau_ticks for p in found], [getattr(p, counted) for p in found])
            row = {"algorithm": f"round robin, batch {key[1]}" if key[1] else "round robin", "epsilon": None}
            row |= {"latency": key[0], "x": "tau_ticks", "counted": counted}
            row |= line._asdict() if line else {"slope": None, "intercept": None, "r2": None, "points": len(found)}
            table.append({**row, "none_found": len(group) - len(found)})
    return table


def as_markdown(points: list[Point], learners: list[LearnerPoint], fits: list[dict]) -> str:
    """The lines, and N* where the time is measured or obtained in real time."""
    text = [
        "Lines of N\\* against τ/τ_M; ⌈τ/τ_M⌉ of the same points for comparison. Left out: settings in which no N\\* was found.\n"
    ]
    text += ["| algorithm | ε | τ | counted by | slope | intercept | R² | points | none found |", "|---" * 9 + "|"]
    counted = {
        "workers_by_inaction": "inaction",
        "workers_by_rate": "mean rate",
        "learners": "updates made",
        "ceil": "⌈τ/τ_M⌉",
    }
    for row in fits:
        if row["x"] != "tau_ticks":
            continue
        values = [_number(row["slope"], ".3f"), _number(row["intercept"], ".2f"), _number(row["r2"], ".4f")]
        name, epsilon = (
            HEADINGS.get(row["algorithm"], row["algorithm"]),
            "" if row["epsilon"] is None else f"{row['epsilon']:g}",
        )
        cells = [name, epsilon, row["latency"], counted[row["counted"]], *values, row["points"], row["none_found"]]
        text.append("| " + " | ".join(map(str, cells)) + " |")
    text += ["", "N_I\\* against parameters, and in real time:", ""]
    text += [
        "| parameters | τ (ticks) | algorithm | ε | by inaction | by rate | ⌈τ/τ_M⌉ | obtained |",
        "|---" * 8 + "|",
    ]
    for p in points:
        if p.parameters is None and p.obtained.startswith("virtual"):
            continue
        size = "" if p.parameters is None else f"{p.parameters:,}"
        cells = [size, f"{p.tau_ticks:.3g}", HEADINGS[p.algorithm], f"{p.epsilon:g}"]
        cells += [_found(p.workers_by_inaction, p.cap), _found(p.workers_by_rate, p.cap), p.ceil, p.obtained]
        text.append("| " + " | ".join(map(str, cells)) + " |")
    text += ["", "N_L\\* against parameters:", ""]
    text += [
        "| parameters | batch | τ_L (ticks) | learn_every | N_L\\* | ⌈τ_L/(learn_every τ_M)⌉ | obtained |",
        "|---" * 7 + "|",
    ]
    for p in learners:
        if p.parameters is not None:
            found = _found(p.learners, p.cap) if p.ceil <= p.cap else "not played"
            cells = [f"{p.parameters:,}", p.batch_size, f"{p.tau_ticks:.3g}", p.learn_every, found, p.ceil, p.obtained]
            text.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(text) + "\n"


def _found(number: int | None, cap: int) -> str:
    return f"{number:,}" if number else f"none up to {cap:,}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
