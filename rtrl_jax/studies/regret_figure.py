"""The picture of the regret study: regret a second against τ_θ/τ_M, measured as marks, Theorem 1's as lines."""

import matplotlib

from rtrl_jax.environments.toy import RATE_HZ
from rtrl_jax.studies.regret import BEST, RATIOS, bound

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import ScalarFormatter

# Okabe and Ito's colours, with marks and fillings that tell the four apart in grey as well.
STYLES = {
    "sequential": ("sequential", "#D55E00", "s"),
    "max_time": ("Algorithm 1", "#0072B2", "^"),
    "expected_time": ("Algorithm 2", "#CC79A7", "D"),
    "ticket": ("ticket (ours)", "#009E73", "o"),
}
ROWS = {"chain-1": "deterministic world (p = 1)", "chain-0.9": "stochastic world (p = 0.9)"}
COLUMNS = {"constant": "constant inference time", "uniform": "inference time uniform, ± 50 %"}
TITLE = (
    "As inference slows, a sequential agent loses nearly all there is to win;\n"
    "staggered at a constant delay, it loses little but what chance takes"
)
DODGE = {
    "sequential": 0.0,
    "max_time": -0.09,
    "expected_time": 0.09,
    "ticket": 0.0,
}  # octaves, so that marks can be told apart


def draw(table: list[dict]) -> plt.Figure:
    """Args: table: of `regret.summarise`."""
    figure, panels = plt.subplots(2, 2, figsize=(9.5, 7.2), sharex=True, sharey=True, layout="constrained")
    for row, world in enumerate(ROWS):
        for column, latency in enumerate(COLUMNS):
            axes = panels[row, column]
            _panel(axes, [item for item in table if (item["world"], item["latency"]) == (world, latency)])
            _bounds(axes, world, latency)
            axes.set_title(f"{ROWS[world]}, {COLUMNS[latency]}", loc="left", fontsize=9.5)
    for axes in panels[-1]:
        axes.set_xlabel(r"mean inference time $\bar{\tau}_\theta/\tau_M$ (ticks)")
    for axes in panels[:, 0]:
        axes.set_ylabel(f"regret (reward/s; all there is: {BEST * RATE_HZ:g})")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    figure.suptitle(TITLE, fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def _panel(axes, table: list[dict]) -> None:
    for interaction, (label, colour, mark) in STYLES.items():
        mine = [item for item in table if item["interaction"] == interaction]
        axes.errorbar(
            [item["ratio"] * 2 ** DODGE[interaction] for item in mine],
            [item["regret"] for item in mine],
            yerr=[item["half_width"] or 0.0 for item in mine],
            label=label,
            color=colour,
            marker=mark,
            markersize=6,
            markerfacecolor="white" if interaction in ("max_time", "ticket") else colour,
            linewidth=0.6,
            linestyle=":",
            elinewidth=1.2,
            capsize=2.5,
            zorder=3,
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xticks(RATIOS)
    axes.set_ylim(-1.5, BEST * RATE_HZ * 1.04)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _bounds(axes, world: str, latency: str) -> None:
    for interaction, label, dashes in (
        ("sequential", r"Theorem 1, sequential: $\tau_I = \bar{\tau}_\theta$", "-"),
        ("ticket", r"Theorem 1, no inaction: $\tau_I = \tau_M$", "--"),
    ):
        values = [bound(world, latency, ratio, interaction) for ratio in RATIOS]
        axes.plot(RATIOS, values, dashes, color="#555555", linewidth=1.3, label=label, zorder=2)
