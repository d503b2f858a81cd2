"""The picture of the regret study: regret a second against τ_θ/τ_M, measured as marks, Theorem 1's as lines."""

import pathlib

from matplotlib.ticker import ScalarFormatter

from rtrl_jax.environments.toy import RATE_HZ
from rtrl_jax.errors import UserError
from rtrl_jax.plots import sources, style
from rtrl_jax.studies.regret import BEST, INTERACTIONS, RATIOS, bound

ROWS = {"chain-1": "deterministic world (p = 1)", "chain-0.9": "stochastic world (p = 0.9)"}
COLUMNS = {"constant": "constant inference time", "uniform": "inference time uniform, ± 50 %"}
DODGE = {
    "sequential": 0.0,
    "max_time": -0.09,
    "expected_time": 0.09,
    "ticket": 0.0,
}  # octaves, so that marks can be told apart


def read(path: pathlib.Path) -> list[dict]:
    """A table that launch/regret.py has written (regret.csv). Raises UserError."""
    rows = sources.read_table(path, ("world", "latency", "ratio", "interaction", "regret", "half_width"))
    if not any(row["world"] in ROWS for row in rows):
        raise UserError(f"{path} has none of the worlds {', '.join(ROWS)}")
    return rows


def draw(table: list[dict]):
    """A figure. Args: table: of `regret.summarise`."""
    figure, panels = style.panels(2, 2, width=9.5, height=7.2, title=finding(table), sharex=True, sharey=True)
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
    style.legend_below(figure, handles, labels, columns=3)
    return figure


def finding(table: list[dict]) -> str:
    """What the table shows where inference is slowest, in a sentence."""
    slowest = max(item["ratio"] for item in table)

    def lost(world: str, interaction: str) -> str:
        """Shares of all there is to win, in per cent."""
        shares = [
            100 * item["regret"] / (BEST * RATE_HZ)
            for item in table
            if (item["world"], item["interaction"], item["ratio"]) == (world, interaction, slowest)
        ]
        least, most = (f"{max(0.0, share):.0f}" for share in (min(shares, default=0.0), max(shares, default=0.0)))
        return f"{least} %" if least == most else f"{least} to {most} %"

    certain, random = ROWS
    return (
        f"At {slowest:g} ticks an inference, a sequential agent loses {lost(certain, 'sequential')} of what there is to win\n"
        f"in a deterministic world, one with tickets {lost(certain, 'ticket')}; "
        f"in a stochastic world {lost(random, 'sequential')} and {lost(random, 'ticket')}"
    )


def _panel(axes, table: list[dict]) -> None:
    for interaction in INTERACTIONS:
        label, look = style.WAYS[interaction]
        mine = [item for item in table if item["interaction"] == interaction]
        axes.errorbar(
            [item["ratio"] * 2 ** DODGE[interaction] for item in mine],
            [item["regret"] for item in mine],
            yerr=[item["half_width"] or 0.0 for item in mine],
            label=label,
            **style.marks(look) | {"linewidth": 0.6, "dashes": (1, 1.65)},
            elinewidth=1.2,
            capsize=2.5,
            zorder=3,
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xticks(RATIOS)
    axes.set_ylim(-1.5, BEST * RATE_HZ * 1.04)


def _bounds(axes, world: str, latency: str) -> None:
    for interaction, label, dashes in (
        ("sequential", r"Theorem 1, sequential: $\tau_I = \bar{\tau}_\theta$", "-"),
        ("ticket", r"Theorem 1, no inaction: $\tau_I = \tau_M$", "--"),
    ):
        values = [bound(world, latency, ratio, interaction) for ratio in RATIOS]
        axes.plot(RATIOS, values, dashes, color=style.REFERENCE, linewidth=1.3, label=label, zorder=2)
