"""What the late head is worth in a game that is learned: Stacks at a delay of 8 ticks, in virtual time and by the wall clock."""

import numpy as np

from rtrl_jax.figures import column, learned, tables
from rtrl_jax.figures.tables import Mean, Rows
from rtrl_jax.plots.style import Look

SOURCES = (
    "late_head/stacks8-runs.csv",
    "late_head/stacks-realtime-runs.csv",
    "learning_curves/stacks-runs.csv",
    "late_head/stacks1-runs.csv",
    "learning_curves/controls.csv",
)
RETURN = "evaluation.mean"
ARMS = {  # cells of the sweeps -> how they are called
    "pending-late": ("late head", Look("#0072B2", "o", (), True)),
    "pending-none": ("memoryless", Look("#D55E00", "s", (), True)),
    "interaction-sequential": ("sequential", Look("#000000", "^", (), False)),
}
WITHOUT = Look("#009E73", "D", (), True)


def contrast(rows: Rows, other: str) -> Mean:
    """`late` less another arm, paired by seed."""
    late, beside = (by_seed(tables.where(rows, cell=cell)) for cell in ("pending-late", other))
    return _differences(late, beside)


def loss(rows: Rows, without: Rows) -> Mean:
    """`late` less the same seeds at a delay of one tick."""
    return _differences(by_seed(tables.where(rows, cell="pending-late")), by_seed(without))


def by_seed(rows: Rows) -> dict[float, float]:
    return {row["seed"]: row[RETURN] for row in rows if row["state"] == "finished"}


def _differences(these: dict[float, float], those: dict[float, float]) -> Mean:
    both = sorted(these.keys() & those.keys())
    return tables.mean([{"difference": these[seed] - those[seed]} for seed in both], "difference")


def verdict(one: Mean) -> str:
    if one.half is None:
        return "not settled: one seed"
    return (
        "confirmed"
        if one.mean > one.half
        else "refuted"
        if one.mean < -one.half
        else "not settled: the interval holds 0"
    )


def facts(virtual: Rows, wall: Rows, without: Rows, more: Rows, controls: Rows) -> dict[str, str]:
    """Args: without: at a delay of one tick, where the game is shown to be learned. more: the same with other seeds."""
    without = [*without, *more]
    random = learned.random_play(learned.STACKS, controls)
    seeds = sorted({int(row["seed"]) for row in virtual})
    lines = [
        ("delay of 1 tick", *_row(without, seeds), ""),
        *(
            (name, *_row(tables.where(virtual, cell=cell), seeds), _one(tables.where(wall, cell=cell)))
            for cell, (name, _) in ARMS.items()
        ),
    ]
    heads = ("arm", *(f"seed {seed}" for seed in seeds), "mean over seeds", "by the wall clock, seed 0")
    none, sequential, lost = (
        contrast(virtual, "pending-none"),
        contrast(virtual, "interaction-sequential"),
        loss(virtual, without),
    )
    at_one = float(np.mean([row[RETURN] for row in without]))
    nothing_is_lost = lost.half is not None and abs(lost.mean) <= lost.half and lost.mean > -0.1 * at_one
    told = tables.where(wall, cell="pending-late")[0]
    return {
        "table": tables.markdown(heads, lines),
        "none": none.text(".1f"),
        "none_verdict": verdict(none),
        "sequential": sequential.text(".1f"),
        "sequential_verdict": verdict(sequential),
        "lost": lost.text(".1f"),
        "lost_verdict": "confirmed" if nothing_is_lost else "refuted",
        "share": f"{100 * lost.mean / at_one:.0f} %",
        "lost_at_most": "any part" if lost.half is None else f"{100 * (lost.half - lost.mean) / at_one:.0f} %",
        "random": f"{random['mean']:.1f}",
        "told": f"{100 * told['inference.told_all']:.2f} %",
        "delay": f"{told['delay.mean']:.3f}",
        "wall_none": f"{_of(wall, 'pending-late') - _of(wall, 'pending-none'):.1f}",
        "wall_sequential": f"{_of(wall, 'pending-late') - _of(wall, 'interaction-sequential'):.1f}",
    }


def _row(rows: Rows, seeds: list[int]) -> list[str]:
    found = by_seed(rows)
    return [*(f"{found[seed]:.1f}" if seed in found else "" for seed in seeds), tables.mean(rows, RETURN).text(".1f")]


def _one(rows: Rows) -> str:
    return f"{rows[0][RETURN]:.1f} ({rows[0][f'{RETURN}_low']:.1f} … {rows[0][f'{RETURN}_high']:.1f})"


def _of(rows: Rows, cell: str) -> float:
    return tables.where(rows, cell=cell)[0][RETURN]


def draw(virtual: Rows, wall: Rows, without: Rows, more: Rows, controls: Rows):
    """Each seed as a dot, means with intervals over seeds, and the run by the wall clock beside them. Args: see `facts`."""
    without = [*without, *more]
    one = loss(virtual, without)
    than = f"{abs(one.mean):.0f} points {'more' if one.mean > 0 else 'less'}"
    title = f"Stacks, decisions 8 ticks late: told what is under way, an agent has {than} than at delay 1"
    figure, panels = column.figure(1, 1, height=1.7, title=title)
    axes = panels[0, 0]
    shown = [("delay 1", WITHOUT, without)] + [
        (name, look, tables.where(virtual, cell=cell)) for cell, (name, look) in ARMS.items()
    ]
    for place, (name, look, rows) in enumerate(shown):
        column.line(axes, [(place, tables.mean(rows, RETURN))], name, look)
    for place, cell in enumerate(ARMS, 1):
        row = tables.where(wall, cell=cell)[0]
        axes.errorbar(
            place + 0.22,
            row[RETURN],
            [[row[RETURN] - row[f"{RETURN}_low"]], [row[f"{RETURN}_high"] - row[RETURN]]],
            fmt="x",
            color="0.35",
            markersize=3.5,
            elinewidth=0.7,
            capsize=1.3,
            label="by the wall clock" if place == 1 else None,
        )
    random = learned.random_play(learned.STACKS, controls)["mean"]
    axes.axhline(random, color="0.5", linestyle="--", linewidth=0.8, label="random play")
    axes.set_xticks(range(len(shown)), [name for name, _, _ in shown])
    axes.set_xlim(-0.5, len(shown) - 0.3)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("return of a game, greedy (points)")
    handles, labels = axes.get_legend_handles_labels()
    keep = [
        (h, label) for h, label in zip(handles, labels, strict=True) if label in ("by the wall clock", "random play")
    ]
    axes.legend(*zip(*keep, strict=True), loc="lower left", frameon=False)
    return figure
