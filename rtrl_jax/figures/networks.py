"""Figures 7b and 8b: N* against the number of parameters, for networks whose times were measured on one machine."""

import pathlib

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.tables import Rows, Slope
from rtrl_jax.figures.workers import SHOWN, found
from rtrl_jax.plots.style import Look

BATCHES = {
    8: Look("#56B4E9", "v", (1.5, 1.5), True),
    16: Look("#0072B2", "o", (), True),
    32: Look("#000000", "s", (5, 2), False),
}
FILES = ("times.csv", "network-workers.csv", "network-learners.csv")
COMMAND = "python launch/scaling.py --parts=times,networks --out=results/scaling && make figures"
FROM = 2.0  # ticks (or learners) from which on slopes are fitted: below, one worker is enough for any size


def draw(folder: pathlib.Path):
    times, workers, learners = (tables.read(folder / name) for name in FILES)
    figure, panels = column.figure(1, 2, height=1.7, title=finding(workers, learners))
    axes = panels[0, 0]
    for algorithm in SHOWN:
        mine = tables.where(workers, algorithm=algorithm, epsilon=0.0)
        column.line(axes, tables.against(mine, "parameters", found), *column.WAYS[algorithm])
    axes.set_ylabel("N* (processes)")
    column.name(axes, "inference, ε = 0")
    axes = panels[0, 1]
    for batch, look in BATCHES.items():
        mine = tables.where(learners, batch_size=batch)
        needed = tables.against(mine, "parameters", lambda some: tables.mean(some, "ceil"))
        column.line(axes, needed, f"updates, batch {batch}", look)
    axes.set_ylabel("N_L* (processes)")
    column.name(axes, "an update in 5 ticks")
    guessed = {row["parameters"] for row in times if row["how"] == "extrapolated" and not row["batch_size"]}
    for axes in panels.flat:
        column.logarithmic(axes)
        axes.set_xlabel("parameters")
        for parameters in guessed:
            axes.axvspan(parameters * 0.5, parameters * 2, color="#eeeeee", zorder=0)
    column.legend(figure, panels, columns=2)
    return figure


def finding(workers: Rows, learners: Rows) -> str:
    most = max(row["parameters"] for row in workers)
    mine = tables.where(workers, algorithm="ticket", epsilon=0.0, parameters=most)
    one = found(mine)
    return (
        f"{tables.count(most)} parameters take {one.mean:,.0f} ticketed processes to act at every tick"
        if one
        else "N* by size"
    )


def slope(rows: Rows, y: str, least: float) -> Slope | None:
    mine = [row for row in rows if row[y] is not None and row["tau_ticks"] / (row.get("learn_every") or 1) >= least]
    return tables.slope([row["parameters"] for row in mine], [row[y] for row in mine])


def facts(folder: pathlib.Path) -> dict[str, str]:
    times, workers, learners = (tables.read(folder / name) for name in FILES)
    if not workers:
        missing = (
            f"Not measured since inference was made faster. On a machine that does nothing else:\n\n```\n{COMMAND}\n```"
        )
        undecided = "not settled: not measured anew"
        return {
            "networks": missing,
            "network_learners": missing,
            "network_verdict": undecided,
            "network_learners_verdict": undecided,
        }
    inference = slope(tables.where(workers, algorithm="ticket", epsilon=0.0), "workers_by_inaction", FROM)
    update = slope(learners, "ceil", FROM)
    return {
        "networks": _inference_table(times, workers)
        + _line("N\\* with tickets", inference, "an inference takes two ticks"),
        "network_learners": _update_table(times, learners) + _line("N_L\\*", update, "the mean asks for two learners"),
        "network_verdict": _verdict(inference),
        "network_learners_verdict": _verdict(update),
    }


def _inference_table(times: Rows, workers: Rows) -> str:
    lines = []
    for parameters in sorted({row["parameters"] for row in workers}):
        mine = tables.where(workers, parameters=parameters, epsilon=0.0)
        sample = tables.where(times, parameters=parameters, batch_size=0.0)
        ms = sorted(row["ms"] for row in sample)[len(sample) // 2]
        cells = []
        for algorithm in SHOWN:
            here = tables.where(mine, algorithm=algorithm)
            one = found(here)
            cells.append(one.text(".1f" if one.half else ".0f") if one else f"none up to {here[0]['cap']:g}")
        lines.append((f"{parameters:,.0f}", f"{ms:.3g}", sample[0]["how"], f"{mine[0]['tau_ticks']:.3g}", *cells))
    heads = ("parameters", "τ (ms, median)", "how", "τ (ticks, mean)", *(column.WAYS[a][0] for a in SHOWN))
    return tables.markdown(heads, lines)


def _update_table(times: Rows, learners: Rows) -> str:
    lines = [
        (
            f"{row['parameters']:,.0f}",
            f"{row['batch_size']:g}",
            f"{row['tau_ticks']:.3g}",
            f"{row['learners']:g}" if row["learners"] else "not played",
            f"{row['ceil']:g}",
            tables.where(times, parameters=row["parameters"], batch_size=row["batch_size"])[0]["how"],
        )
        for row in learners
    ]
    return tables.markdown(("parameters", "batch", "τ_L (ticks)", "N_L\\*", "⌈τ_L/(5 τ_M)⌉", "τ_L"), lines)


def _line(what: str, line: Slope | None, least: str) -> str:
    return f"\n\nSlope of log {what} on log parameters, where {least} or more: {line.text()}." if line else ""


def _verdict(line: Slope | None) -> str:
    if line is None:
        return "not settled"
    return "confirmed" if line.is_linear else f"refuted as it stands: slope {line.text()}"
