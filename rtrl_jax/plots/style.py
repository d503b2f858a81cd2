"""The one style of all pictures: colours that people who see few of them tell apart, and marks and dashes that need none."""

import pathlib
from typing import NamedTuple

import matplotlib

from rtrl_jax import stagger
from rtrl_jax.telemetry.files import write_atomically

matplotlib.use("Agg")
from matplotlib import pyplot as plt

DPI = 150
GRID, REFERENCE = "#e5e5e5", "#555555"
ENDINGS = (".png", ".svg")
# Okabe and Ito's. Their greys differ too, but not enough to do without marks, dashes or words.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")


class Look(NamedTuple):
    """How one of several lines looks."""

    colour: str
    mark: str
    dashes: tuple
    is_filled: bool  # whether its marks are


LOOKS = (
    Look("#0072B2", "o", (), True),
    Look("#D55E00", "s", (5, 2), True),
    Look("#009E73", "^", (1.5, 1.5), False),
    Look("#CC79A7", "D", (7, 2, 1.5, 2), True),
    Look("#555555", "v", (3, 1), False),
    Look("#56B4E9", "P", (7, 1.5, 1.5, 1.5, 1.5, 1.5), True),
    Look("#E69F00", "X", (2, 4), False),
)

# Ways of interacting are called and look the same in every picture.
WAYS = {
    "sequential": ("sequential", Look("#D55E00", "s", (5, 2), True)),
    "max_time": (stagger.label_of("max_time"), Look("#0072B2", "^", (3, 1), False)),
    "expected_time": (stagger.label_of("expected_time"), Look("#CC79A7", "D", (1.5, 1.5), True)),
    "ticket": ("ticket (ours)", Look("#009E73", "o", (), False)),
    "none": (stagger.label_of("none"), Look("#555555", "X", (7, 2, 1.5, 2), True)),
}


def looks(names: list[str]) -> list[Look]:
    """Of lines with these names: that of the way of interacting if all are called by one, `ticket` or `stagger=ticket`."""
    ways = [name.rpartition("=")[2] for name in names]
    if len(set(ways)) == len(ways) and all(way in WAYS for way in ways):
        return [WAYS[way][1] for way in ways]
    return [LOOKS[number % len(LOOKS)] for number in range(len(names))]


def name_of(way: str) -> str:
    """ticket -> ticket (ours); what is no way of interacting stays as it is."""
    return WAYS[way][0] if way in WAYS else way


def marks(which: Look) -> dict:
    """Keywords for a line with marks."""
    return {
        "color": which.colour,
        "marker": which.mark,
        "markerfacecolor": which.colour if which.is_filled else "white",
        "markersize": 6,
        "linewidth": 1.4,
        "dashes": which.dashes or (None, None),
    }


def panels(rows: int, columns: int, *, width: float, height: float, title: str, **kwargs):
    """A figure with `rows` x `columns` panels and the finding above them. Args: width, height: inches."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **kwargs)
    heading(figure, title)
    for one in axes.ravel():
        plain(one)
    return figure, axes


def heading(figure, title: str) -> None:
    """The finding, above everything."""
    figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")


def plain(axes, grid: str = "y") -> None:
    """No frame but the two axes, and a faint grid behind the data."""
    axes.grid(axis=grid, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def legend_below(figure, handles, labels, columns: int = 4) -> None:
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=min(columns, len(labels)),
        frameon=False,
        fontsize=9,
        handlelength=3.2,
    )


def save(figure, path: pathlib.Path) -> list[pathlib.Path]:
    """Writes a picture of the kind that the ending says, or one of each kind if there is none. Returns what was written."""
    paths = [path] if path.suffix in ENDINGS else [path.with_name(path.name + ending) for ending in ENDINGS]
    path.parent.mkdir(parents=True, exist_ok=True)
    for one in paths:
        # No date in it: the same data make the same file.
        metadata = {"Date": None} if one.suffix == ".svg" else None
        write_atomically(
            one,
            lambda file, kind=one.suffix[1:], metadata=metadata: figure.savefig(
                file, dpi=DPI, format=kind, metadata=metadata
            ),
        )
    plt.close(figure)
    return paths
