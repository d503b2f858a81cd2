"""The style of pictures that stand in a column of a paper: 3.3 inches wide, readable in grey, the finding above."""

import textwrap

from matplotlib.ticker import FuncFormatter, NullFormatter

from rtrl_jax import stagger
from rtrl_jax.figures.tables import Mean, count
from rtrl_jax.plots import style
from rtrl_jax.plots.style import Look

WIDTH = 3.3  # inches
DPI = 300
SMALL = 6.0  # points
TEXT = {  # for `rc_context`, around drawing and saving
    "font.size": 6.5,
    "axes.labelsize": 6.5,
    "axes.titlesize": 6.5,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "svg.hashsalt": "rtrl_jax",
}
CHARACTERS = 56  # of the title in a line

WAYS = {
    "sequential": style.WAYS["sequential"],
    "none": style.WAYS["none"],
    "max_time": (f"{stagger.label_of('max_time')}, cold", style.WAYS["max_time"][1]),
    "max_time_warm": (f"{stagger.label_of('max_time')}, preset", Look("#0072B2", "v", (), True)),
    "bounded": (f"{stagger.label_of('max_time')}, bounded", Look("#E69F00", "s", (4, 1, 1, 1), False)),
    "expected_time": style.WAYS["expected_time"],
    "ticket": style.WAYS["ticket"],
}


def figure(rows: int, columns: int, *, height: float, title: str, **kwargs):
    """Returns (figure, panels [rows, columns]). Args: height: of a row of panels, inches."""
    lines = textwrap.wrap(title, CHARACTERS)
    size = (WIDTH, height * rows + 0.11 * len(lines) + 0.45)
    made, panels = style.plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **kwargs)
    made.get_layout_engine().set(w_pad=0.03, h_pad=0.03, hspace=0.02, wspace=0.02)
    made.suptitle("\n".join(lines), fontsize=7, fontweight="bold", x=0.01, ha="left", linespacing=1.15)
    for axes in panels.flat:
        style.plain(axes, grid="both")
        axes.grid(linewidth=0.4)
    return made, panels


def name(axes, text: str) -> None:
    """What a panel shows."""
    axes.set_title(text, loc="left", fontsize=6.5, pad=2.5)


def line(axes, points: list[tuple[float, Mean]], label: str, look: Look, shift: float = 1.0) -> None:
    """Means as marks on a line with 95 % intervals over seeds, and each seed as a dot. Args: shift: factor of x."""
    xs = [x * shift for x, _ in points]
    for x, (_, one) in zip(xs, points, strict=True):
        if one.half:
            axes.plot([x] * one.seeds, one.values, ".", color=look.colour, markersize=1.5, alpha=0.6, zorder=2)
    axes.errorbar(
        xs,
        [one.mean for _, one in points],
        yerr=[one.half or 0.0 for _, one in points],
        label=label,
        **style.marks(look) | {"markersize": 3, "linewidth": 0.8, "markeredgewidth": 0.7},
        elinewidth=0.7,
        capsize=1.3,
        capthick=0.7,
        zorder=3,
    )


def logarithmic(axes, x: bool = True, y: bool = True) -> None:
    for axis, wanted, scale in ((axes.xaxis, x, axes.set_xscale), (axes.yaxis, y, axes.set_yscale)):
        if wanted:
            scale("log")
            axis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
            axis.set_minor_formatter(NullFormatter())


def legend(made, panels, columns: int = 3, into=None) -> None:
    """Each name once, below all panels. Args: into: or in place of this one."""
    named = {}
    for axes in panels.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    look = {"frameon": False, "fontsize": SMALL, "handlelength": 2.6, "columnspacing": 1.0, "borderpad": 0.1}
    if into is None:
        made.legend(named.values(), named, loc="outside lower center", ncols=columns, labelspacing=0.3, **look)
    else:
        into.set_axis_off()
        into.legend(named.values(), named, loc="upper left", bbox_to_anchor=(-0.15, 1.05), labelspacing=0.6, **look)
