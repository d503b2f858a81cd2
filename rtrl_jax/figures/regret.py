"""Regret a second against Theorem 1: by inference time, by how random the world is, and what learning costs."""

import numpy as np

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.tables import Rows, Slope
from rtrl_jax.plots import style
from rtrl_jax.plots.style import Look

ALL = 50.0  # reward a second that there is to win
WORLDS = {"chain-1": "deterministic", "chain-0.9": "p = 0.9"}
TIMES = {"constant": "constant τ", "uniform": "τ ± 50 %"}
WAYS = ("sequential", "max_time", "max_time_warm", "expected_time", "ticket")
DODGE = {"max_time": 0.94, "expected_time": 1.06, "max_time_warm": 1.03}
RATIO = 8.0  # ticks, of the picture against p and the page's table
HUNDREDTHS = 0.05  # of reward a second, to which the table is rounded
LEARNING = {
    "paused": ("waits for each outcome", Look("#000000", "o", (), True)),
    "async": ("outcomes 8 decisions late", Look("#009E73", "^", (), False)),
    "sequential": ("a decision in 8 ticks", Look("#D55E00", "s", (5, 2), True)),
}


def draw(rows: Rows):
    """By inference time. Args: rows: of runs.csv."""
    rows = tables.where(rows, rule="own")
    figure, panels = column.figure(2, 2, height=1.4, title=finding(rows), sharex=True, sharey=True)
    for line, (world, world_name) in zip(panels, WORLDS.items(), strict=True):
        for axes, (latency, name) in zip(line, TIMES.items(), strict=True):
            mine = tables.where(rows, world=world, latency=latency)
            for way in WAYS:
                points = tables.against(tables.where(mine, interaction=way), "ratio", _regret)
                column.line(axes, points, *column.WAYS[way], DODGE.get(way, 1.0))
            for way, label, dashes in (
                ("sequential", "Theorem 1, sequential", "-"),
                ("ticket", "Theorem 1, no inaction", "--"),
            ):
                bounds = sorted({(row["ratio"], row["bound"]) for row in tables.where(mine, interaction=way)})
                axes.plot(
                    *zip(*bounds, strict=True), dashes, color=style.REFERENCE, linewidth=0.7, label=label, zorder=1
                )
            column.name(axes, f"{world_name}, {name}")
            axes.set_xscale("log", base=2)
            ratios = sorted({row["ratio"] for row in mine})
            axes.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
    for axes in panels[-1]:
        axes.set_xlabel("mean inference time τ (ticks)")
    for axes in panels[:, 0]:
        axes.set_ylabel(f"regret (reward/s of {ALL:g})")
    column.legend(figure, panels, columns=3)
    return figure


def finding(rows: Rows) -> str:
    slowest = max(row["ratio"] for row in tables.where(rows, latency="constant"))

    def lost(world: str, way: str) -> str:
        """Shares of all there is to win, in per cent, for the two kinds of times."""
        found = [
            _regret(tables.where(rows, world=world, interaction=way, ratio=slowest, latency=latency))
            for latency in TIMES
        ]
        shares = [f"{max(0.0, 100 * one.mean / ALL):.0f}" for one in found if one]
        return f"{' to '.join(dict.fromkeys(shares))} %"

    certain, random = WORLDS
    return (
        f"At {slowest:g} ticks a sequential agent loses {lost(certain, 'sequential')} in a deterministic world, tickets "
        f"{lost(certain, 'ticket')}; in a stochastic one (p = 0.9) {lost(random, 'sequential')} and {lost(random, 'ticket')}"
    )


def draw_rest(rows: Rows, learning: Rows):
    """By p, and what learning costs. Args: rows, learning: of runs.csv and learning.csv."""
    figure, panels = column.figure(1, 2, height=1.75, title=learning_finding(learning))
    axes = panels[0, 0]
    mine = tables.where(rows, rule="own", latency="uniform", ratio=RATIO)
    mine = [row | {"p": _p(row["world"])} for row in mine if row["world"].startswith("chain")]
    for way in WAYS:
        points = tables.against(tables.where(mine, interaction=way), "p", _regret)
        column.line(axes, points, *column.WAYS[way])
    bounds = sorted({(row["p"], row["bound"]) for row in tables.where(mine, interaction="ticket")})
    axes.plot(*zip(*bounds, strict=True), "--", color=style.REFERENCE, linewidth=0.7, label="Theorem 1, no inaction")
    axes.set_xlabel("p: how certain the world is")
    axes.set_ylabel(f"regret (reward/s of {ALL:g})")
    column.name(axes, "τ = 8 ± 50 % ticks")
    axes = panels[0, 1]
    for way, (label, look) in LEARNING.items():
        column.line(axes, worst(learning, way), label, look)
    column.logarithmic(axes)
    axes.set_xlabel("decisions n = t/τ_I")
    axes.set_ylabel("regret (reward), worst gap")
    column.name(axes, "optimistic tabular Q")
    column.legend(figure, panels, columns=2)
    return figure


def learning_finding(learning: Rows) -> str:
    one = exponent(learning, "paused")
    return (
        f"The less certain the world, the less any way of acting saves; learning costs n to the power {one.slope:.2f} ± "
        f"{one.half:.2f} times √log n, Equation 2 says ½"
    )


def worst(learning: Rows, way: str) -> list[tuple[float, tables.Mean]]:
    """(decisions, regret at the gap where its mean over seeds is largest)."""
    found = []
    for n in sorted({row["decisions"] for row in tables.where(learning, way=way)}):
        mine = tables.where(learning, way=way, decisions=n)
        gaps = [tables.mean(tables.where(mine, gap=gap), "regret") for gap in {row["gap"] for row in mine}]
        found.append((n, max(gaps, key=lambda one: one.mean)))
    return found


def exponent(learning: Rows, way: str) -> Slope:
    """Of the regret over √log n: what is reached has that factor (footnote 3), as the agent's bonus has."""
    points = worst(learning, way)
    return tables.slope([n for n, _ in points], [one.mean / np.log(n) ** 0.5 for n, one in points])


def facts(rows: Rows, learning: Rows) -> dict[str, str]:
    """What the page says. Args: rows, learning: of runs.csv and learning.csv."""
    own = tables.where(rows, rule="own")
    settings = _settings(rows)
    several = [one for one in settings if len(one) > 1]
    outside = [one for one in several if _apart(one) > _regret(one).half + HUNDREDTHS]
    remark = {"interaction": "sequential", "world": "chain-1", "latency": "constant", "ratio": RATIO}
    proof = {"interaction": "ticket", "world": "delay-0.9", "latency": "constant", "ratio": 32.0}
    between = {"world": "chain-1", "latency": "half", "ratio": 8.5}
    certain = {"world": "chain-1", "latency": "uniform", "ratio": RATIO}
    random = certain | {"world": "chain-0.9"}
    warm, ticket = {"interaction": "max_time_warm"}, {"interaction": "ticket"}
    equal = tables.where(rows, rule="equal")
    return {
        "table": _by_world(own),
        "half": _by_half(own),
        "equal": _by_equal(rows),
        "by_p": _by_p(own),
        "remark": _lost(own, remark),
        "remark_bound": f"{tables.where(own, **remark)[0]['bound']:.2f}",
        "proof": _lost(own, proof),
        "proof_bound": f"{tables.where(own, **proof)[0]['bound']:.2f}",
        "half_loss": _lost(own, between | warm),
        "verdict_half": _verdict_half(own, between),
        "verdict_remarks": _verdict_remarks(own),
        "half_ticket": _lost(own, between | ticket),
        "cold": _lost(own, certain | {"interaction": "max_time"}),
        "second": _lost(own, certain | {"interaction": "expected_time"}),
        "warm": _lost(own, certain | warm),
        "own_ticket": _lost(own, certain | ticket),
        "equal_ticket": _lost(equal, certain | ticket),
        "warm_random": _lost(own, random | warm),
        "own_ticket_random": _lost(own, random | ticket),
        "equal_ticket_random": _lost(equal, random | ticket),
        "outside": f"{len(outside)} of {len(several)} settings" if several else "none that one seed could tell",
        "apart": f"{max(map(_apart, settings)):.2f}",
        "seeds": str(len({row["seed"] for row in rows})),
    } | _learning_facts(learning)


def _verdict_half(own: Rows, between: dict) -> str:
    """Whether a delay that varies costs nothing in a deterministic world, as footnote 4 has it."""
    varying, constant = (_regret(tables.where(own, **between, interaction=way)) for way in ("max_time_warm", "ticket"))
    if varying.mean - (varying.half or 0.0) > HUNDREDTHS >= constant.mean:
        return "refuted as it stands: only a constant delay costs nothing"
    return "not settled"


def _verdict_remarks(own: Rows) -> str:
    """Which staggered ways leave β less than 1 % of the ticks with their N* of Remark 2, at all τ."""
    without = {}
    for latency in TIMES:
        mine = tables.where(own, latency=latency, world="inaction")
        inactive = {way: max(row["inaction"] for row in tables.where(mine, interaction=way)) for way in WAYS}
        without[latency] = [column.WAYS[way][0] for way in WAYS if inactive[way] < 0.01]
    return "inaction below 1 % at every τ: " + "; ".join(
        f"{name}, {', '.join(without[latency]) or 'nobody'}" for latency, name in TIMES.items()
    )


def _learning_facts(learning: Rows) -> dict[str, str]:
    slopes = {way: exponent(learning, way) for way in LEARNING}
    is_root = all(abs(one.slope - 0.5) <= max(one.half, 0.05) for one in slopes.values())
    late, at_once = worst(learning, "async"), worst(learning, "paused")
    first, last = (
        f"{late[i][1].mean / at_once[i][1].mean:.2f} times the regret of {at_once[i][0]:,.0f} decisions"
        for i in (0, -1)
    )
    return {
        "learning_seeds": str(len({row["seed"] for row in learning})),
        "learning_verdict": "confirmed" if is_root else "not settled",
        "exponents": "; ".join(f"{LEARNING[way][0]} {one.text()}" for way, one in slopes.items()),
        "late_cost": f"{first} and {last}",
    }


HEADS = ("way", "N", "inaction", "delay (sd)", "regret /s", "closed form", "bound")


def _by_world(own: Rows) -> str:
    lines = []
    for latency in TIMES:
        for world in ("inaction", "delay-0.9", "chain-1", "chain-0.9"):
            mine = tables.where(own, latency=latency, ratio=RATIO, world=world)
            lines += [(latency, world, *_cells(tables.where(mine, interaction=way))) for way in WAYS]
    return tables.markdown(("times", "world", *HEADS), lines)


def _by_half(own: Rows) -> str:
    mine = tables.where(own, latency="half", world="chain-1")
    lines = [
        (f"{tau:g}", *_cells(tables.where(mine, ratio=tau, interaction=way)))
        for tau in (2.5, 8.5, 16.5)
        for way in WAYS
    ]
    return tables.markdown(("τ (ticks)", *HEADS), lines)


def _by_equal(rows: Rows) -> str:
    lines = []
    for ratio in (RATIO, 32.0):
        for world in WORLDS:
            for way in ("max_time", "max_time_warm", "expected_time", "ticket"):
                rule = "equal" if way in ("expected_time", "ticket") else "own"  # Algorithm 1's own number it is
                mine = tables.where(rows, latency="uniform", ratio=ratio, world=world, interaction=way, rule=rule)
                lines.append((f"{ratio:g}", world, *_cells(mine)))
    return tables.markdown(("τ (ticks)", "world", *HEADS), lines)


def _by_p(own: Rows) -> str:
    worlds = sorted({row["world"] for row in own if row["world"].startswith("chain")}, key=_p)
    lines = []
    for way in WAYS:
        mine = tables.where(own, latency="uniform", ratio=RATIO, interaction=way)
        lines.append((column.WAYS[way][0], *(_regret(tables.where(mine, world=world)).text(".1f") for world in worlds)))
    return tables.markdown(("way", *(f"p = {_p(world):g}" for world in worlds)), lines)


def _p(world: str) -> float:
    return float(world.removeprefix("chain-"))


def _regret(rows: Rows) -> tables.Mean | None:
    return tables.mean(rows, "regret")


def _lost(rows: Rows, setting: dict) -> str:
    return _regret(tables.where(rows, **setting)).text(".2f")


def _apart(rows: Rows) -> float:
    """How far the measured regret of a setting is from the closed form, over seeds."""
    return abs(float(np.mean([row["regret"] - row["predicted"] for row in rows])))


def _settings(rows: Rows) -> list[Rows]:
    found: dict[tuple, Rows] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in ("latency", "ratio", "interaction", "rule", "world")), []).append(
            row
        )
    return list(found.values())


def _cells(rows: Rows) -> tuple[str, ...]:
    if not rows:
        return ("", "", "", "", "", "", "")
    inaction, delay, sd, predicted = (
        float(np.mean([row[name] for row in rows])) for name in ("inaction", "delay_mean", "delay_sd", "predicted")
    )
    return (
        column.WAYS[rows[0]["interaction"]][0],
        f"{rows[0]['workers']:g}",
        f"{inaction:.1%}",
        f"{delay:.1f} ({sd:.1f})",
        _regret(rows).text(".2f"),
        f"{predicted:.2f}",
        f"{rows[0]['bound']:.2f}",
    )
