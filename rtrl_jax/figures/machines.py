"""N_I* past one machine: workers on 2 to 20 machines with a network between, against the same on one."""

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.tables import Rows, Slope
from rtrl_jax.figures.workers import between

WAYS = ("ticket", "bounded")
COUNTS = {"workers_on_one": "on one machine", "workers": "on all of them"}


def slope(rows: Rows, algorithm: str, counted: str) -> Slope | None:
    """Of N* on τ in logarithms, over all numbers of machines and all seeds; None where a number is missing."""
    mine = tables.where(rows, algorithm=algorithm)
    if any(row[counted] is None for row in mine):
        return None
    return tables.slope([row["stated_ticks"] for row in mine], [row[counted] for row in mine])


def facts(rows: Rows) -> dict[str, str]:
    """What the page says."""
    slopes = {counted: slope(rows, "ticket", counted) for counted in COUNTS}
    linear = all(one and one.is_linear for one in slopes.values())
    mine = tables.where(rows, algorithm="ticket")
    later = [row["delay"] - row["delay_on_one"] for row in mine if row["delay"] is not None]
    return {
        "table": _table(rows),
        "slope_on_one": between([slopes["workers_on_one"]]),
        "slope": between([slopes["workers"]]),
        "verdict": tables.settled("confirmed" if linear else "not confirmed", rows),
        "seeds": str(len({row["seed"] for row in rows})),
        "later": f"{min(later):.1f} … {max(later):.1f}",
        "network": ", ".join(sorted({row["network_ms"] for row in rows})),
    }


def _table(rows: Rows) -> str:
    heads = ("machines", "τ (ticks)", "way", *(f"N\\* {where}" for where in COUNTS.values()), "delay on one", "delay")
    lines = []
    for machines, tau in sorted({(row["machines"], row["stated_ticks"]) for row in rows}):
        for algorithm in WAYS:
            here = tables.where(rows, machines=machines, algorithm=algorithm)
            cells = [_seeds(here, name) for name in (*COUNTS, "delay_on_one", "delay")]
            lines.append((f"{machines:g}", f"{tau:.4g}", column.WAYS[algorithm][0], *cells))
    return tables.markdown(heads, lines)


def _seeds(rows: Rows, name: str) -> str:
    """The median of the seeds, and their range: a search that meets one unlucky trial ends far above the others."""
    known = sorted(row[name] for row in rows if row[name] is not None)
    if not known:
        return "none"
    text = f"{known[len(known) // 2]:.0f} ({known[0]:.0f} … {known[-1]:.0f})"
    return text if len(known) == len(rows) else f"{text}; none for {len(rows) - len(known)} seeds"
