"""Figure 7: N_I*, the workers that it takes, against inference time and against the network's size."""

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.tables import Mean, Rows, Slope

SHOWN = ("none", "max_time", "max_time_warm", "bounded", "expected_time", "ticket")
PANELS = {
    ("constant", 0.0): "constant τ, ε = 0",
    ("constant", 0.5): "constant τ, ε = 0.5",
    ("gamma-0.1", 0.0): "gamma τ, cv 0.1",
    ("gamma-0.5", 0.0): "gamma τ, cv 0.5",
    ("outliers", 0.0): "1 in 300 takes 6 τ",
}
FROM = 4.0 * 0.99  # ticks from which on slopes are fitted: below, rounding up is a quarter of the number or more
COUNTS = {"workers_by_rate": "mean rate", "workers_by_inaction": "inaction"}


def draw(rows: Rows):
    """N* by inaction against τ. Args: rows: of workers.csv."""
    figure, panels = column.figure(3, 2, height=1.35, title=finding(rows), sharex=True, sharey=True)
    for axes, ((latency, epsilon), name) in zip(panels.flat, PANELS.items(), strict=False):
        mine = tables.where(rows, latency=latency, epsilon=epsilon, searched="True")
        for number, algorithm in enumerate(SHOWN):
            label, look = column.WAYS[algorithm]
            here = tables.where(mine, algorithm=algorithm)
            column.line(axes, tables.against(here, "tau_ticks", found), label, look, 1.02 ** (number - 2))
            lost = [row for row in here if row["workers_by_inaction"] is None]
            axes.plot(
                [row["tau_ticks"] for row in lost],
                [row["cap"] for row in lost],
                linestyle="",
                marker="x",
                markersize=3,
                markeredgewidth=0.6,
                color=look.colour,
            )
        ends = [1, 600]
        axes.plot(ends, [max(1, x * (1 - epsilon)) for x in ends], color="#444444", linewidth=0.6, label="τ/τ_M")
        column.name(axes, name)
        column.logarithmic(axes)
    for axes in panels[:, 0]:
        axes.set_ylabel("N* (processes)")
    for axes in (panels[-1, 0], panels[-2, 1]):
        axes.set_xlabel("mean τ (ticks)")
        axes.xaxis.set_tick_params(labelbottom=True)
    free = panels[-1, -1]
    column.legend(figure, panels, into=free)
    note = "×: none found up to there\ndots: seeds; bars: 95 %\nintervals over seeds"
    free.text(-0.1, -0.12, note, transform=free.transAxes, fontsize=column.SMALL)
    return figure


def finding(rows: Rows) -> str:
    linear = [a for a in ("max_time", "expected_time", "ticket") if (s := slope(rows, a)) and s.is_linear]
    names = " and ".join(column.WAYS[a][0].removesuffix(", cold") for a in linear) or "no way"
    kept = [a for a in SHOWN if not never_found(rows, a, "gamma-0.5")]
    text = f"N* grows linearly with a constant τ for {names}"
    if len(kept) < len(SHOWN):
        ways = " and ".join(column.WAYS[a][0] for a in kept) or "no way"
        text += f"; when τ varies by half, a number is found for every τ for {ways} alone"
    return text


def never_found(rows: Rows, algorithm: str, latency: str, epsilon: float = 0.0) -> bool:
    """Whether no seed found a number for the longest τ searched."""
    mine = tables.where(rows, latency=latency, epsilon=epsilon, algorithm=algorithm, searched="True")
    longest = max((row["tau_ticks"] for row in mine), default=None)
    return longest is not None and all(
        row["workers_by_inaction"] is None for row in mine if row["tau_ticks"] == longest
    )


def found(rows: Rows) -> Mean | None:
    """None where a seed has no number."""
    return tables.mean(rows, "workers_by_inaction")


def slope(
    rows: Rows, algorithm: str, latency: str = "constant", epsilon: float = 0.0, counted: str = "workers_by_inaction"
) -> Slope | None:
    """Of N* on τ in logarithms, over all τ from four ticks on and all seeds; None where a number is missing or τ are too few."""
    mine = tables.where(rows, latency=latency, epsilon=epsilon, algorithm=algorithm, searched="True")
    mine = [row for row in mine if row["tau_ticks"] >= FROM]
    if not mine or any(row[counted] is None for row in mine):
        return None
    return tables.slope([row["tau_ticks"] for row in mine], [row[counted] for row in mine])


def facts(rows: Rows) -> dict[str, str]:
    """What the page says."""
    heads = (
        "τ",
        "ε",
        "way",
        *(f"slope by {how}" for how in COUNTS.values()),
        "τ searched (ticks)",
        "none found at (ticks)",
    )
    lines = []
    for (latency, epsilon), name in PANELS.items():
        for algorithm in SHOWN:
            mine = tables.where(rows, latency=latency, epsilon=epsilon, algorithm=algorithm)
            searched = tables.where(mine, searched="True")
            slopes = [slope(rows, algorithm, latency, epsilon, counted) for counted in COUNTS]
            lines.append(
                (
                    name.split(", ε")[0],
                    f"{epsilon:g}",
                    column.WAYS[algorithm][0],
                    *(one.text() if one else "" for one in slopes),
                    _ticks(searched),
                    _ticks([row for row in searched if row["workers_by_inaction"] is None]) or "nowhere",
                )
            )
    linear = [
        slope(rows, a, "constant", 0.0, counted)
        for a in ("max_time", "max_time_warm", "expected_time")
        for counted in COUNTS
    ]
    by_rate = [slope(rows, a, "constant", 0.5, "workers_by_rate") for a in ("max_time", "expected_time", "ticket")]
    return {
        "table": tables.markdown(heads, lines),
        "linear": between(linear),
        "linear_exploring": between(by_rate),
        "verdict_exploring": tables.settled(_verdict_exploring(rows), rows),
        "verdict_constant": "confirmed" if all(one and one.is_linear for one in linear) else "not settled",
        "half": half_integers(rows),
        "seeds": str(len({row["seed"] for row in rows})),
        "exploring": _at(rows, "constant", 0.5, 8 * 0.999),
        "gamma": _at(rows, "gamma-0.5", 0.0, 16 * 0.999),
        "gamma_small": _at(rows, "gamma-0.1", 0.0, 16 * 0.999),
        "outliers": _at(rows, "outliers", 0.0, None),
    }


def _verdict_exploring(rows: Rows) -> str:
    """Of Algorithm 1, which the paper finds as linear, and as needy, as at ε = 0."""
    by_rate, by_inaction = (slope(rows, "max_time", "constant", 0.5, counted) for counted in COUNTS)
    if by_rate is None:
        return "unknown"
    first = "confirmed" if by_rate.is_linear else "not confirmed"
    second = "confirmed" if by_inaction and by_inaction.is_linear else "refuted"
    return f"{first} by mean rate, {second} by inaction"


def half_integers(rows: Rows) -> str:
    """N* at τ = 8.5 ticks, way by way."""
    return _at(rows, "constant", 0.0, 8.5)


def _at(rows: Rows, latency: str, epsilon: float, tau: float | None) -> str:
    """N* by inaction at one τ, way by way. Args: tau: None: the largest with τ to 17 ticks."""
    mine = tables.where(rows, latency=latency, epsilon=epsilon)
    times = [row["tau_ticks"] for row in mine if row["tau_ticks"] < 18]
    tau = max(times, default=None) if tau is None else min(times, key=lambda one: abs(one - tau), default=None)
    parts = []
    for algorithm in SHOWN:
        here = tables.where(mine, algorithm=algorithm, tau_ticks=tau)
        if not here:
            continue
        one = found(here)
        if here[0]["searched"] != "True":
            text = "not searched"
        elif one is None:
            text = f"none up to {here[0]['cap']:g}"
            if some := [row for row in here if row["workers_by_inaction"] is not None]:
                text += f" for {len(here) - len(some)} of {len(here)} seeds"
        else:
            text = one.text(".1f" if one.half else ".0f")
        parts.append(f"{column.WAYS[algorithm][0]} {text}")
    return "; ".join(parts)


def between(slopes: list[Slope | None]) -> str:
    """The range that the intervals of those that are known span."""
    known = [one for one in slopes if one]
    if not known:
        return "not known"
    return f"{min(s.slope - s.half for s in known):.2f} … {max(s.slope + s.half for s in known):.2f}"


def _ticks(rows: Rows) -> str:
    return ", ".join(f"{value:.4g}" for value in sorted({row["tau_ticks"] for row in rows}))
