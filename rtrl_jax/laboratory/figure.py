"""The picture of the laboratory's study: return against inference time, a panel for each environment."""

import matplotlib

from rtrl_jax.laboratory.study import INTERACTIONS, ahead
from rtrl_jax.laboratory.worlds import WORLDS

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import NullLocator, ScalarFormatter

# Okabe and Ito's colours, with marks and fillings that tell them apart in grey as well.
STYLES = {"async": ("asynchronous", "#009E73", "o", "white"), "sequential": ("sequential", "#D55E00", "s", "#D55E00")}
NAMES = {"async": "asynchronous", "sequential": "sequential"}


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
        axes.set_ylabel(f"mean return ({WORLDS[name].unit})")
        labelled.update({label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)})
    figure.legend(
        labelled.values(), labelled, loc="outside lower center", ncols=len(labelled), frameon=False, fontsize=9
    )
    figure.suptitle(finding(table, names), fontsize=11, fontweight="bold", x=0.01, ha="left")
    return figure


def verdict(table: list[dict], name: str) -> str:
    """Who is ahead where, in a few words."""
    who = ahead(table, name)
    parts = [f"{NAMES[i]} ahead at {', '.join(map(str, who[i]))} ticks" for i in INTERACTIONS if who[i]]
    return ";\n".join(parts) or "no difference shown"


def finding(table: list[dict], names: list[str]) -> str:
    """The title: in which environments each way of interacting is ahead, at more of the inference times."""
    won = {interaction: [] for interaction in INTERACTIONS}
    for name in names:
        who = ahead(table, name)
        leading = max(INTERACTIONS, key=lambda interaction: len(who[interaction]))
        if len(who[leading]) > min(len(found) for found in who.values()):
            won[leading].append(name)
    parts = [f"{NAMES[i]} interaction is ahead in {' and '.join(won[i])}" for i in INTERACTIONS if won[i]]
    if not parts:
        return "Return against inference time: neither way of interacting is shown to be ahead"
    return "With slow inference, " + ",\n".join(parts)


def _panel(axes, table: list[dict]) -> None:
    for interaction, (label, colour, mark, filling) in STYLES.items():
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
        if mine[0]["best_return"] is not None:
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
