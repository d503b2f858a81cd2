"""Return against inference time in the laboratory's small worlds, with each agent to be seen."""

from rtrl_jax.figures import column, tables
from rtrl_jax.figures.tables import Mean, Rows
from rtrl_jax.laboratory.study import ARMS
from rtrl_jax.laboratory.worlds import WORLDS
from rtrl_jax.plots import style
from rtrl_jax.plots.style import Look

LOOKS = {
    "async": Look("#009E73", "o", (), False),
    "sequential": Look("#D55E00", "s", (5, 2), True),
    "late": Look("#0072B2", "D", (), True),
    "newest": Look("#56B4E9", "^", (3, 1), False),
    "history": Look("#CC79A7", "v", (1.5, 1.5), False),
    "hold": Look("#E69F00", "P", (7, 2, 1.5, 2), True),
    "oracle": Look("#000000", "_", (), True),
}
SHIFTS = dict(zip(LOOKS, (0.97, 1.0, 1.03, 0.94, 1.06, 0.91, 1.09), strict=True))


def draw_plain(rows: Rows):
    """Asynchronous and sequential agents, three worlds. Args: rows: of results/laboratory/runs.csv."""
    title = "Acting at every tick wins where each needs an action of its own, and loses where moves add up"
    return _draw(rows, ("catch", "breakout", "chain"), ("async", "sequential"), title)


def draw_late(rows: Rows):
    """The late head beside what it is compared with. Args: rows: of results/late_head/laboratory-runs.csv."""
    return _draw(rows, ("catch", "chain"), ("async", "sequential", "history", "late", "oracle"), late_finding(rows))


def draw_longer(rows: Rows, longer: Rows):
    """Catch after 60,000 and after 300,000 ticks of learning: slower to learn, or not to be learned.

    Args: rows, longer: of results/late_head/laboratory-runs.csv and laboratory-300k-runs.csv.
    """
    figure, panels = column.figure(1, 2, height=1.5, title=longer_finding(longer))
    both = [tables.where(some, environment="catch") for some in (rows, longer)]
    arms = [arm for arm in LOOKS if all(tables.where(some, interaction=arm) for some in both)]
    for axes, mine in zip(panels.flat, both, strict=True):
        _fill(axes, mine, "catch", tuple(arms))
        column.name(axes, f"after {mine[0]['steps']:,.0f} ticks")
    column.legend(figure, panels, columns=2)
    return figure


def longer_finding(longer: Rows) -> str:
    ahead = [
        f"{delay:g}"
        for delay in sorted({row["inference"] for row in longer})
        if _low(longer, "catch", "late", delay) > _high(longer, "catch", "sequential", delay)
    ]
    text = f"A late head that learns for longer is ahead of thinking first at {', '.join(ahead) or 'no'} ticks"
    return f"{text} in Catch"


def late_finding(rows: Rows) -> str:
    ahead = [
        f"{delay:g}"
        for delay in sorted({row["inference"] for row in rows})
        if _low(rows, "catch", "late", delay) > _high(rows, "catch", "async", delay)
    ]
    behind = [
        f"{delay:g}"
        for delay in sorted({row["inference"] for row in rows})
        if _high(rows, "chain", "late", delay) < _low(rows, "chain", "async", delay)
    ]
    text = f"A late head is ahead of a memoryless agent in Catch at {', '.join(ahead) or 'no'} ticks"
    return text + (f", and behind it in the chain at {', '.join(behind)}" if behind else "")


def _draw(rows: Rows, worlds: tuple[str, ...], arms: tuple[str, ...], title: str):
    across = 2
    figure, panels = column.figure(-(-len(worlds) // across), across, height=1.5, title=title)
    for axes, world in zip(panels.flat, worlds, strict=False):
        _fill(axes, tables.where(rows, environment=world), world, arms)
        column.name(axes, f"{world}: {WORLDS[world].unit}")
    free = panels.flat[len(worlds) :]
    column.legend(figure, panels, columns=2, into=free[0] if len(free) else None)
    return figure


def _fill(axes, rows: Rows, world: str, arms: tuple[str, ...]) -> None:
    """A world's returns against inference time, an arm a line. Args: rows: of this world alone."""
    for arm in arms:
        points = tables.against(tables.where(rows, interaction=arm), "inference", _return)
        column.line(axes, points, ARMS[arm].label, LOOKS[arm], SHIFTS[arm])
    random = tables.against(rows, "inference", lambda some: tables.mean(some, "random_return"))
    axes.plot([x for x, _ in random], [one.mean for _, one in random], color="#999999", linewidth=0.7, label="random")
    if best := WORLDS[world].best:
        for is_sequential, dashes in ((False, "--"), (True, ":")):
            bests = [best(int(x), is_sequential) for x, _ in random]
            label = f"best possible, {'sequential' if is_sequential else 'asynchronous'}"
            axes.plot([x for x, _ in random], bests, dashes, color=style.REFERENCE, linewidth=0.7, label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks([x for x, _ in random], [f"{x:g}" for x, _ in random])
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.set_xlabel("inference time (ticks)")
    axes.set_ylabel("mean return")


def _return(rows: Rows) -> Mean | None:
    return tables.mean(rows, "mean_return")


def _of(rows: Rows, world: str, arm: str, delay: float) -> Mean:
    return _return(tables.where(rows, environment=world, interaction=arm, inference=delay))


def _low(rows: Rows, world: str, arm: str, delay: float) -> float:
    one = _of(rows, world, arm, delay)
    return one.mean - one.half


def _high(rows: Rows, world: str, arm: str, delay: float) -> float:
    one = _of(rows, world, arm, delay)
    return one.mean + one.half
