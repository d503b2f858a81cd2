"""Figure 8: N_L*, the learners that it takes, against the time of an update."""

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.tables import Rows, Slope
from rtrl_jax.plots.style import Look

LOOKS = {
    "constant": ("constant τ_L", Look("#0072B2", "o", (), True)),
    "gamma-0.1": ("gamma τ_L, cv 0.1", Look("#E69F00", "s", (5, 2), True)),
    "gamma-0.5": ("gamma τ_L, cv 0.5", Look("#000000", "^", (1.5, 1.5), False)),
}
FROM = 4.0  # learners that the mean asks for, from which on slopes are fitted


def draw(rows: Rows):
    """Args: rows: of learners.csv."""
    figure, panels = column.figure(1, 1, height=1.9, title=finding(rows))
    axes = panels[0, 0]
    for kind, (label, look) in LOOKS.items():
        mine = tables.where(rows, latency=kind)
        column.line(axes, tables.against(mine, "tau_ticks", lambda some: tables.mean(some, "learners")), label, look)
        lost = [row for row in mine if row["learners"] is None]
        axes.plot(
            [row["tau_ticks"] for row in lost], [row["cap"] for row in lost], "x", markersize=3, color=look.colour
        )
    ordered = sorted({(row["tau_ticks"], row["ceil"]) for row in rows})
    axes.plot(*zip(*ordered, strict=True), color="#444444", linewidth=0.6, label="⌈τ_L/(5 τ_M)⌉")
    column.logarithmic(axes)
    axes.set_xlabel("mean time of an update τ_L (ticks)")
    axes.set_ylabel("N_L* (an update in 5 ticks)")
    column.legend(figure, panels, columns=2)
    return figure


def finding(rows: Rows) -> str:
    steady, varying = slope(rows, "constant"), ratios(rows, "gamma-0.5")
    text = "N_L* grows linearly with a constant τ_L" if steady and steady.is_linear else "N_L* against τ_L"
    return text + (f"; at a cv of 0.5 turns cost up to {max(varying):.2f} times as many learners" if varying else "")


def slope(rows: Rows, latency: str) -> Slope | None:
    """Of N_L* on τ_L in logarithms, over all seeds."""
    mine = [row for row in tables.where(rows, latency=latency) if row["tau_ticks"] / row["learn_every"] >= FROM]
    if not mine or any(row["learners"] is None for row in mine):
        return None
    return tables.slope([row["tau_ticks"] for row in mine], [row["learners"] for row in mine])


def ratios(rows: Rows, latency: str) -> list[float]:
    """Mean N_L* over what the mean asks for, at each τ_L from where rounding up is small."""
    found = []
    for tau in sorted({row["tau_ticks"] for row in rows}):
        mine = tables.where(rows, latency=latency, tau_ticks=tau)
        one = tables.mean(mine, "learners")
        if one and mine[0]["ceil"] >= FROM:
            found.append(one.mean / mine[0]["ceil"])
    return found


def facts(rows: Rows) -> dict[str, str]:
    lines = []
    for kind, (label, _) in LOOKS.items():
        for tau in sorted({row["tau_ticks"] for row in rows}):
            mine = tables.where(rows, latency=kind, tau_ticks=tau)
            if not mine:
                continue
            one, lost = tables.mean(mine, "learners"), [row for row in mine if row["learners"] is None]
            text = (
                one.text(".1f" if one.half else ".0f")
                if one
                else f"none up to {mine[0]['cap']:g} for {len(lost)} seeds"
            )
            lines.append((label, f"{tau:.4g}", text, f"{mine[0]['ceil']:g}"))
    steady = slope(rows, "constant")
    return {
        "table": tables.markdown(("τ_L", "mean (ticks)", "N_L\\*", "⌈τ_L/(5 τ_M)⌉"), lines),
        "slope": steady.text() if steady else "not all known",
        "slope_varying": one.text() if (one := slope(rows, "gamma-0.5")) else "not all known",
        "ratio": f"{min(found):.2f} to {max(found):.2f}" if (found := ratios(rows, "gamma-0.5")) else "not all known",
        "ratio_small": f"{min(found):.2f} to {max(found):.2f}"
        if (found := ratios(rows, "gamma-0.1"))
        else "not all known",
        "seeds": str(len({row["seed"] for row in rows})),
        "verdict": "confirmed" if steady and steady.is_linear else "not settled",
    }
