"""Constant delay, its part without learning: inaction, delay and its spread against how inference times vary."""

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.tables import Mean, Rows

SHOWN = ("none", "max_time", "max_time_warm", "bounded", "expected_time", "ticket")
MEAN, HALF = 9.99, 9.5
PANELS = (  # rule, column, name, axis
    ("few", "inaction", "12 workers: inaction", "share of ticks left to β"),
    ("few", "delay_sd", "12 workers: delay", "its sd (ticks)"),
    ("own", "workers", "own N* (else none to 60)", "N* (processes)"),
    ("own", "delay", "with own N*: delay", "its mean (ticks)"),
)
TEXTS = {"inaction": "{:.1%}", "delay": "{:.1f}", "delay_sd": "{:.2f}", "workers": "{:g}"}


def draw(rows: Rows):
    """Args: rows: of constancy.csv."""
    rows = tables.where(rows, times="gamma", mean_ticks=MEAN)
    figure, panels = column.figure(2, 2, height=1.4, title=finding(rows), sharex=True)
    for axes, (rule, value, name, label) in zip(panels.flat, PANELS, strict=True):
        for number, algorithm in enumerate(SHOWN):
            mine = tables.where(rows, algorithm=algorithm, rule=rule)
            points = tables.against(mine, "cv", lambda some, value=value: tables.mean(some, value))
            points = [(cv + 0.004 * (number - 2), one) for cv, one in points]
            column.line(axes, points, *column.WAYS[algorithm])
        column.name(axes, name)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    for axes in panels[-1]:
        axes.set_xlabel("cv of τ (mean 9.99 ticks)")
    column.legend(figure, panels, columns=3)
    return figure


def finding(rows: Rows) -> str:
    most = max((row["cv"] for row in rows), default=None)
    ours, warm = (at(rows, most, algorithm, "own", "workers") for algorithm in ("ticket", "max_time_warm"))
    if not ours or not warm:
        return "Inaction and delay against how inference times vary"
    slow, fast = (at(rows, most, algorithm, "own", "delay") for algorithm in ("max_time_warm", "ticket"))
    return (
        f"At a cv of {most:g}, acting at every tick takes {ours.mean:.0f} workers with tickets, {warm.mean:.0f} with Algorithm 1 "
        f"told the longest time, at a delay of {fast.mean:.0f} and {slow.mean:.0f} ticks"
    )


def at(rows: Rows, cv: float, algorithm: str, rule: str, value: str) -> Mean | None:
    return tables.mean(tables.where(rows, cv=cv, algorithm=algorithm, rule=rule), value)


def facts(rows: Rows, measured: Rows) -> dict[str, str]:
    """Args: rows, measured: of constancy.csv and network-constancy.csv."""
    stated = tables.where(rows, times="gamma", mean_ticks=MEAN)
    half = tables.where(rows, times="gamma", mean_ticks=HALF)
    cvs = sorted({row["cv"] for row in stated})
    varying = [cv for cv in cvs if cv]
    both = [
        (
            cv,
            *(
                at(stated, cv, way, "own", value)
                for value in ("workers", "delay")
                for way in ("ticket", "max_time_warm")
            ),
        )
        for cv in varying
    ]
    both = [row for row in both if None not in row]
    costs = [
        f"{column.WAYS[row['algorithm']][0]} {row['outlier_cost']:+g}"
        for row in tables.where(stated, cv=0.0, rule="few")
        if row["outlier_cost"] is not None
    ]
    return {
        "own": _table(stated, cvs, "own", ("workers", "delay", "delay_sd")),
        "few": _table(stated, cvs, "few", ("inaction", "delay", "delay_sd")),
        "warm": _table(stated, varying, "warm", ("workers", "inaction", "delay", "delay_sd")),
        "half": _table(half, [0.0], "few", ("inaction", "delay", "delay_sd")) + "\n",
        "fewer_workers": _range([slow.mean / ours.mean for _, ours, slow, _, _ in both]),
        "less_delay": _range([slow.mean / ours.mean for _, _, _, ours, slow in both]),
        "costs": "; ".join(costs),
        "lost": _never(stated, varying),
        "verdict_first": tables.settled(_verdict_first(stated, varying), rows),
        "verdict_tickets": tables.settled(
            "confirmed" if both and min(slow.mean / ours.mean for _, ours, slow, *_ in both) > 1 else "not confirmed",
            rows,
        ),
        "measured": _measured(measured),
        "seeds": str(len({row["seed"] for row in rows})),
        "spread_ticket": _greatest(stated, "ticket"),
        "spread_warm": _greatest(stated, "max_time_warm"),
        "spread_second": _greatest(stated, "expected_time"),
    }


def _table(rows: Rows, cvs: list[float], rule: str, values: tuple[str, ...]) -> str:
    names = {"workers": "N", "inaction": "inaction", "delay": "delay", "delay_sd": "its sd"}
    heads = ("way", *(f"cv {cv:g}: {', '.join(names[value] for value in values)}" for cv in cvs))
    lines = []
    for algorithm in SHOWN:
        cells = []
        for cv in cvs:
            mine = tables.where(rows, cv=cv, algorithm=algorithm, rule=rule)
            without = [row for row in mine if row["workers"] is None]
            if not mine:
                cells.append("")
            elif without:
                cells.append(
                    "none up to 60" + (f", {len(without)} of {len(mine)} seeds" if len(without) < len(mine) else "")
                )
            else:
                cells.append(", ".join(TEXTS[v].format(tables.mean(mine, v).mean) for v in values))
        lines.append((column.WAYS[algorithm][0], *cells))
    return tables.markdown(heads, lines)


def _verdict_first(rows: Rows, cvs: list[float]) -> str:
    """Whether Algorithm 1 acts at every tick, preset and cold, with some number of workers at every cv and for every seed."""
    own = {way: tables.where(rows, algorithm=way, rule="own") for way in ("max_time_warm", "max_time")}
    if not cvs or any(not set(cvs) <= {row["cv"] for row in mine} for mine in own.values()):
        return "not settled: not all is run"
    acts = {way: all(row["workers"] is not None for row in mine if row["cv"]) for way, mine in own.items()}
    preset, cold = ("confirmed" if acts[way] else "refuted" for way in own)
    return f"{preset} preset, {cold} cold"


def _never(rows: Rows, cvs: list[float]) -> str:
    """The ways for which some seed found no number, and at which cv."""
    parts = []
    for algorithm in SHOWN:
        lost = [
            cv
            for cv in cvs
            if any(r["workers"] is None for r in tables.where(rows, cv=cv, algorithm=algorithm, rule="own"))
        ]
        if lost:
            parts.append(f"{column.WAYS[algorithm][0]} (cv {', '.join(f'{cv:g}' for cv in lost)})")
    return "; ".join(parts) or "none"


def _measured(rows: Rows) -> str:
    if not rows:
        return "Not measured yet: `python launch/scaling.py --parts=times,networks --out=results/scaling`."
    cvs = sorted({row["cv"] for row in rows})
    return _table(rows, cvs, "own", ("workers", "delay", "delay_sd"))


def _greatest(rows: Rows, algorithm: str) -> str:
    found = [row["delay_sd"] for row in tables.where(rows, algorithm=algorithm) if row["delay_sd"] is not None]
    return f"{max(found):.2f}" if found else "unknown"


def _range(values: list[float]) -> str:
    return f"{min(values):.1f} to {max(values):.1f}" if values else "an unknown number of"
