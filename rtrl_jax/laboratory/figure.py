"""The picture of the laboratory's study: return against inference time, a panel for each environment."""

import matplotlib

from rtrl_jax.laboratory.study import ARMS, ahead, world

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import NullLocator, ScalarFormatter

# Okabe and Ito's colours, with marks and fillings that tell them apart in grey as well.
STYLES = {
    "async": ("#009E73", "o", "white"),
    "sequential": ("#D55E00", "s", "#D55E00"),
    "late": ("#0072B2", "D", "#0072B2"),
    "newest": ("#56B4E9", "^", "white"),
    "history": ("#CC79A7", "v", "white"),
    "hold": ("#E69F00", "P", "#E69F00"),
    "oracle": ("#000000", "_", "#000000"),
}


def draw(table: list[dict]) -> plt.Figure:
    """Args: table: of `study.summarise`."""
    names = list(dict.fromkeys(row["environment"] for row in table))
    figure, panels = plt.subplots(
        1, len(names), figsize=(max(5.5, 3.9 * len(names)), 4.3), layout="constrained", squeeze=False
    )
    labelled = {}
    for axes, name in zip(panels[0], names, strict=True):
        _panel(axes, [row for row in table if row["environment"] == name])
        axes.set_title(f"{name}: {verdict(table, name)}", loc="left", fontsize=9.5)
        axes.set_xlabel("inference time (ticks)")
        axes.set_ylabel(f"mean return ({world(name).unit})")
        labelled.update({label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)})
    figure.legend(
        labelled.values(),
        labelled,
        loc="outside lower center",
        ncols=min(len(labelled), max(2, 2 * len(names) - 1)),
        frameon=False,
        fontsize=9,
    )
    figure.suptitle(finding(table, names), fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def verdict(table: list[dict], name: str) -> str:
    """Who is ahead where, in a few words."""
    who = ahead(table, name)
    parts = [f"{ARMS[arm].label} ahead at {', '.join(map(str, won))} ticks" for arm, won in who.items() if won]
    return ";\n".join(parts) or "no difference shown"


def finding(table: list[dict], names: list[str]) -> str:
    """The title: in which environments each arm is ahead, at more of the inference times than any other."""
    won = {arm: [] for arm in ARMS}
    for name in names:
        who = ahead(table, name)
        leading = max(who, key=lambda arm: len(who[arm]), default=None)
        if leading and len(who[leading]) > max((len(who[arm]) for arm in who if arm != leading), default=0):
            won[leading].append(name)
    parts = [f"{ARMS[arm].label} is ahead in {' and '.join(found)}" for arm, found in won.items() if found]
    if not parts:
        return "Return against inference time: no way of acting is shown to be ahead"
    return "With slow inference, " + ",\n".join(parts)


def _panel(axes, table: list[dict]) -> None:
    for interaction, (colour, mark, filling) in STYLES.items():
        label = ARMS[interaction].label
        mine = [row for row in table if row["interaction"] == interaction]
        if not mine:
            continue
        x, y = [row["inference_ticks"] for row in mine], [row["mean_return"] for row in mine]
        error = None
        if mine[0]["low"] is not None:
            error = [
                [max(0.0, row["mean_return"] - row["low"]) for row in mine],
                [max(0.0, row["high"] - row["mean_return"]) for row in mine],
            ]
        axes.errorbar(
            x, y, error, label=label, color=colour, marker=mark, markerfacecolor=filling, capsize=3, lw=1.4, zorder=3
        )
        if mine[0]["best_return"] is not None and interaction in ("async", "sequential"):  # the others' is async's
            dashes = "--" if interaction == "async" else ":"
            best = [row["best_return"] for row in mine]
            axes.plot(x, best, dashes, color="#555555", lw=1.1, label=f"best possible, {label}", zorder=2)
        if interaction == table[0]["interaction"]:
            random = [row["random_return"] for row in mine]
            axes.plot(x, random, "-", color="#bbbbbb", lw=1.1, label=f"random actions, {label}", zorder=1)
    ticks = sorted({row["inference_ticks"] for row in table})
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
