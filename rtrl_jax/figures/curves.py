"""What agents that learn have reached: evaluated return against minutes of play."""

import numpy as np

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.tables import Mean, Rows
from rtrl_jax.plots.style import Look

GAMES = {"cartpole": "CartPole", "duel": "Duel, catching"}
AGENT, BLIND, CONTROL = (
    Look("#0072B2", "o", (), True),
    Look("#D55E00", "s", (5, 2), True),
    Look("#000000", "^", (1.5, 1.5), False),
)


def draw(rows: Rows):
    """Args: rows: of curves.csv."""
    figure, panels = column.figure(1, 2, height=1.6, title=finding(rows))
    for axes, (game, name) in zip(panels[0], GAMES.items(), strict=True):
        points = seeds(rows, game)
        for one in zip(*(point.values for _, point in points), strict=True):
            axes.plot([x for x, _ in points], one, color=AGENT.colour, linewidth=0.4, alpha=0.6)
        column.line(axes, points, "mean of the seeds", AGENT)
        random = tables.where(rows, game=game, policy="random")[0]["mean_return"]
        axes.axhline(random, color=BLIND.colour, linestyle="--", linewidth=0.8, label="random play")
        column.name(axes, name)
        axes.set_xlabel("minutes of real time")
    panels[0, 0].set_ylabel("return of an episode (ε = 0.05)")
    column.legend(figure, panels, columns=2)
    return figure


def finding(rows: Rows) -> str:
    gains = "; ".join(f"{name} {_verdict(rows, game)}" for game, name in GAMES.items())
    return f"From first to last checkpoint, over seeds: {gains}"


def gain(rows: Rows, game: str) -> Mean:
    """Of each seed from its first checkpoint to its last."""
    points = seeds(rows, game)
    gains = np.array(points[-1][1].values) - np.array(points[0][1].values)
    return tables.mean([{"gain": float(value)} for value in gains], "gain")


def _verdict(rows: Rows, game: str) -> str:
    one = gain(rows, game)
    gains = one.half is not None and one.mean > one.half
    return f"{'gains' if gains else 'is not shown to gain:'} {one.text('.3g')}"


def facts(rows: Rows) -> dict[str, str]:
    lines = []
    for game, name in GAMES.items():
        points = seeds(rows, game)
        last = [row for row in rows if row["game"] == game and row["policy"].startswith("seed")]
        updates = max(row["updates"] for row in last)
        lines.append(
            (
                name,
                f"{tables.where(rows, game=game, policy='random')[0]['mean_return']:.3g}",
                points[0][1].text(".3g"),
                points[-1][1].text(".3g"),
                gain(rows, game).text(".3g"),
                f"{points[-1][0]:.1f}",
                f"{updates:,.0f}",
            )
        )
    heads = ("game", "random play", "at its start", "at its end", "gain", "minutes", "updates")
    return {"table": tables.markdown(heads, lines)} | {game: _verdict(rows, game) for game in GAMES}


def seeds(rows: Rows, game: str) -> list[tuple[float, Mean]]:
    """(minutes, return over seeds), checkpoint by checkpoint: seeds have theirs at much the same time."""
    mine = [row for row in rows if row["game"] == game and row["policy"].startswith("seed")]
    names = sorted({row["policy"] for row in mine})
    by_seed = [sorted(tables.where(mine, policy=name), key=lambda row: row["minutes"]) for name in names]
    return [
        (float(np.mean([row["minutes"] for row in same])), tables.mean(list(same), "mean_return"))
        for same in zip(*by_seed, strict=True)
    ]
