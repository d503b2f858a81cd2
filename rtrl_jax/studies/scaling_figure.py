"""The pictures of the scaling study: N* against τ and against parameters, and what varying inference times cost."""

import textwrap

import matplotlib

from rtrl_jax.studies import scaling, variance
from rtrl_jax.studies.learners import LearnerPoint
from rtrl_jax.studies.scaling import Point

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

# Okabe and Ito's colours, with marks, fillings and dashes that tell the five apart in grey as well.
STYLES = {
    "none": ("no staggering", "#888888", "x", "#888888", ":"),
    "max_time": ("Algorithm 1", "#0072B2", "^", "white", "--"),
    "bounded": ("Algorithm 1, bounded (0.99)", "#E69F00", "s", "#E69F00", "-."),
    "expected_time": ("Algorithm 2", "#CC79A7", "D", "#CC79A7", (0, (5, 1))),
    "ticket": ("ticket with playout (ours)", "#009E73", "o", "white", "-"),
}
LATENCIES = {
    "constant": "constant τ",
    "normal": "normal τ, cv 0.05",
    "gamma": "gamma τ, cv 0.5",
    "outliers": "constant τ, 1 in 300 takes 6τ",
    "measured": "τ as measured",
}
BATCHES = {8: ("#56B4E9", "v", ":"), 16: ("#0072B2", "o", "-"), 32: ("#000000", "s", "--")}


def against_tau(points: list[Point]) -> plt.Figure:
    """N_I* by inaction against τ, ε = 0 above, 0.5 below, a panel for each latency."""
    points = [point for point in points if point.parameters is None]
    kinds = [kind for kind in LATENCIES if any(point.latency == kind for point in points)]
    epsilons = sorted({point.epsilon for point in points})
    figure, panels = _panels(len(epsilons), len(kinds))
    for row, epsilon in enumerate(epsilons):
        for column, kind in enumerate(kinds):
            axes = panels[row, column]
            mine = [p for p in points if (p.epsilon, p.latency) == (epsilon, kind)]
            _lines(axes, mine, lambda p: p.tau_ticks)
            ends = [min(p.tau_ticks for p in points), max(p.tau_ticks for p in points)]
            axes.plot(
                ends,
                [max(1, x * (1 - epsilon)) for x in ends],
                color="#444444",
                lw=1,
                label=r"$\bar\tau_\theta/\tau_M$",
            )
            axes.set_title(f"ε = {epsilon:g}, {LATENCIES[kind]}", loc="left", fontsize=9)
            _logs(axes)
            if row == len(epsilons) - 1:
                axes.set_xlabel(r"$\tau_\theta/\tau_M$ (ticks)")
            if column == 0:
                axes.set_ylabel(r"$N_I^*$ (inaction < 1 %)")
    return _finished(figure, panels, finding(points))


def finding(points: list[Point]) -> str:
    """The title: how N* grows with a constant τ, and what is left of that when τ varies."""
    parts = []
    for kind in ("constant", "gamma"):
        for algorithm in ("max_time", "expected_time", "ticket"):
            mine = [p for p in points if (p.latency, p.epsilon, p.algorithm) == (kind, 0.0, algorithm)]
            mine = [p for p in mine if p.obtained.startswith("virtual")]
            found = [p for p in mine if p.workers_by_inaction]
            line = scaling.fit([p.tau_ticks for p in found], [p.workers_by_inaction for p in found])
            name = STYLES[algorithm][0].split(" with")[0]
            if not mine:
                continue
            if len(found) * 2 <= len(mine):
                parts.append((kind, f"{name}: none for {len(mine) - len(found)} of {len(mine)} τ"))
            elif line:
                parts.append((kind, f"{name}: {line.slope:.2f} τ"))
    words = [
        f"{LATENCIES[kind]}: N* grows as " + "; ".join(text for k, text in parts if k == kind)
        for kind in ("constant", "gamma")
        if any(k == kind for k, _ in parts)
    ]
    return "\n".join(line for text in words for line in textwrap.wrap(text, 105))


def against_parameters(points: list[Point], learners: list[LearnerPoint]) -> plt.Figure:
    """N_I* (both ε) and N_L* against the size of the network."""
    points = [point for point in points if point.parameters is not None and point.obtained.startswith("virtual")]
    updates = [point for point in learners if point.parameters is not None]
    epsilons = sorted({point.epsilon for point in points})
    figure, panels = _panels(1, len(epsilons) + bool(updates), height=4.2)
    for axes, epsilon in zip(panels[0], epsilons, strict=False):
        mine = [p for p in points if p.epsilon == epsilon]
        _lines(axes, mine, lambda p: p.parameters)
        ordered = sorted({(p.parameters, p.ceil) for p in mine})
        axes.plot(*zip(*ordered, strict=True), color="#444444", lw=1, label=r"$\lceil\bar\tau_\theta/\tau_M\rceil$")
        for p in mine:
            if "extrapolated" in p.obtained:
                axes.axvspan(p.parameters * 0.5, p.parameters * 2, color="#f2f2f2", zorder=0)
        axes.set_title(f"inference, ε = {epsilon:g}", loc="left", fontsize=9)
        axes.set_ylabel(r"$N_I^*$ (inaction < 1 %)")
    axes = panels[0, -1]  # of learning, if there is any
    for batch in sorted({p.batch_size for p in updates}):
        colour, mark, dashes = BATCHES.get(batch, ("#777777", "d", "-"))
        mine = [p for p in updates if p.batch_size == batch]
        found = [p for p in mine if p.learners]
        axes.plot(
            [p.parameters for p in found],
            [p.learners for p in found],
            linestyle=dashes,
            color=colour,
            marker=mark,
            label=f"round robin, batch {batch}",
        )
        beyond = [p for p in mine if not p.learners]
        axes.plot([p.parameters for p in beyond], [p.ceil for p in beyond], "+", color=colour, ms=9)
    if updates:
        axes.set_title("learning (+: ⌈τ_L/(learn_every τ_M)⌉ alone)", loc="left", fontsize=9)
        axes.set_ylabel(r"$N_L^*$ (unlearned < 1 %)")
    for axes in panels[0]:
        _logs(axes)
        axes.set_xlabel("parameters (shaded: τ extrapolated)")
    largest = max(updates, key=lambda p: p.parameters, default=None)
    workers = [p for p in points if p.algorithm == "ticket" and p.epsilon == 0.0 and p.workers_by_inaction]
    title = "N* against the size of the network"
    if workers and largest:
        most = max(workers, key=lambda p: p.parameters)
        title = f"{_count(most.parameters)} parameters take {most.workers_by_inaction:,} ticketed workers on cores like these"
    return _finished(figure, panels, title)


def against_learning_time(learners: list[LearnerPoint]) -> plt.Figure:
    """N_L* against τ_L, for each distribution of τ_L."""
    stated = [point for point in learners if point.parameters is None]
    figure, panels = _panels(1, 1, height=4.4, width=5.6)
    axes = panels[0, 0]
    for kind, (colour, mark, dashes) in zip(
        dict.fromkeys(p.latency for p in stated),
        (("#0072B2", "o", "-"), ("#E69F00", "s", "--"), ("#000000", "^", ":")),
        strict=False,
    ):
        found = [p for p in stated if p.latency == kind and p.learners]
        axes.plot(
            [p.tau_ticks for p in found],
            [p.learners for p in found],
            color=colour,
            marker=mark,
            linestyle=dashes,
            label=LATENCIES[kind].replace("τ", "τ_L"),
        )
    ordered = sorted({(p.tau_ticks, p.ceil) for p in stated})
    axes.plot(*zip(*ordered, strict=True), color="#888888", lw=1, label="⌈τ_L/(learn_every τ_M)⌉")
    _logs(axes)
    axes.set_xlabel(r"$\tau_L/\tau_M$ (ticks)")
    axes.set_ylabel(r"$N_L^*$ (unlearned < 1 %)")
    lines = {
        kind: scaling.fit(*zip(*[(p.tau_ticks / p.learn_every, p.learners) for p in group], strict=True))
        for kind in dict.fromkeys(p.latency for p in stated)
        if len(group := [p for p in stated if p.latency == kind and p.learners]) > 1
    }
    parts = [f"{line.slope:.2f} for {LATENCIES[kind].replace('τ', 'τ_L')}" for kind, line in lines.items() if line]
    return _finished(figure, panels, "Learners needed for each one that the mean asks for:\n" + "; ".join(parts))


def against_variance(table: list[variance.Row]) -> plt.Figure:
    """Inaction, delay, N* and the cost of an outlier as the cv of τ grows."""
    figure, panels = _panels(2, 2, height=3.4, width=4.9)
    shown = {
        "inaction": ("inaction, 12 workers", "share of ticks left to β"),
        "delay": ("delay, 12 workers", "mean delay (ticks)"),
        "workers_by_inaction": (f"N* for inaction < 1 % (× at the top: none up to {variance.MOST})", "workers"),
        "outlier_cost": ("cost of one inference of 60 ticks", "ticks lost in the 2,000 after it"),
    }
    for axes, (field, (title, label)) in zip(panels.flat, shown.items(), strict=True):
        for number, (algorithm, (name, colour, mark, filling, dashes)) in enumerate(STYLES.items()):
            mine = [row for row in table if row.algorithm == algorithm]
            found = [row for row in mine if getattr(row, field) is not None]
            error = [row.outlier_half_width or 0.0 for row in found] if field == "outlier_cost" else None
            axes.errorbar(
                [row.cv for row in found],
                [getattr(row, field) for row in found],
                yerr=error,
                label=name,
                color=colour,
                marker=mark,
                markerfacecolor=filling,
                linestyle=dashes,
                lw=1.4,
                elinewidth=0.8,
                capsize=2,
            )
            none = [row.cv for row in mine if getattr(row, field) is None]
            axes.plot(none, [variance.MOST * (1 + 0.06 * number)] * len(none), "x", color=colour, ms=5)
        if field == "inaction":
            axes.axhline(variance.poisson(), color="#444444", lw=1)
            axes.text(
                0.5, variance.poisson() + 0.015, "at random: e^(−N τ_M/τ̄)", ha="right", fontsize=8, color="#444444"
            )
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_ylabel(label)
        axes.set_xlabel("cv of τ (gamma, mean 9.99 ticks)")
        _plain(axes)
    return _finished(figure, panels, variance_finding(table))


def variance_finding(table: list[variance.Row]) -> str:
    """The title: at the largest cv, what is left to β; and what an outlier costs where nothing else varies."""
    most = max(row.cv for row in table)
    at = {row.algorithm: row for row in table if row.cv == most}
    still = {row.algorithm: row for row in table if row.cv == 0}
    lost = ", ".join(
        f"{STYLES[name][0].split(' with')[0]} {at[name].inaction:.0%}"
        for name in STYLES
        if name in at and name != "bounded"
    )
    text = f"At a cv of {most:g}, β has: {lost} of the ticks"
    if "max_time" in still and "ticket" in still:
        first, ours = still["max_time"].outlier_cost, still["ticket"].outlier_cost
        text += f";\none outlier costs Algorithm 1 {first:.0f} of the next 2,000 ticks, ticket {ours:.0f}"
    return text


def _panels(rows: int, columns: int, height: float = 3.3, width: float = 3.5):
    return plt.subplots(
        rows, columns, figsize=(max(5.6, width * columns), height * rows + 0.9), layout="constrained", squeeze=False
    )


def _lines(axes, points: list[Point], x) -> None:
    for algorithm, (name, colour, mark, filling, dashes) in STYLES.items():
        mine = [p for p in points if p.algorithm == algorithm and p.obtained.startswith("virtual")]
        found = [p for p in mine if p.workers_by_inaction]
        axes.plot(
            [x(p) for p in found],
            [p.workers_by_inaction for p in found],
            color=colour,
            marker=mark,
            ms=5,
            markerfacecolor=filling,
            linestyle=dashes,
            lw=1.3,
            label=name,
        )
        none = [p for p in mine if not p.workers_by_inaction]
        axes.plot([x(p) for p in none], [p.cap for p in none], linestyle="", marker="$\\uparrow$", color=colour, ms=7)
    real = [p for p in points if not p.obtained.startswith("virtual") and p.workers_by_inaction]
    if real:
        axes.plot(
            [x(p) for p in real],
            [p.workers_by_inaction for p in real],
            linestyle="",
            marker="*",
            ms=10,
            color="black",
            markerfacecolor="none",
            label="real time (emulated τ)",
        )


def _logs(axes) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: _count(value)))
        axis.set_minor_formatter(NullFormatter())
    _plain(axes)


def _plain(axes) -> None:
    axes.grid(color="#e8e8e8", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _finished(figure, panels, title: str) -> plt.Figure:
    labelled = {}
    for axes in panels.flat:
        labelled |= {label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        labelled.values(),
        labelled,
        loc="outside lower center",
        ncols=3 if len(panels.flat) > 1 else 2,
        frameon=False,
        fontsize=8.5,
    )
    figure.suptitle(title, fontsize=10.5, fontweight="bold", x=0.01, ha="left")
    return figure


def _count(parameters: float) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= 0.95 * size:
            return f"{parameters / size:.3g} {unit}"
    return f"{parameters:g}"
