"""The long run: nothing is done to it, and nothing should change."""

import json
import pathlib

from rtrl_jax.checkpoints import store
from soaking import picture, records, trend
from soaking.figures import CROWD, HOUR, PLACES, RATE_HZ, Figures, say
from soaking.run import Run
from soaking.viewer import Viewer
from soaking.watch import Watch

CAPACITY, LEAST_CAPACITY = 40_000, 4096  # transitions in the replay
WARM_UP = 0.2  # of the time; the replay is full before it is over
LOOK_S = 1.0
PAGE_S = 1.0  # within which the page shows a tick

DESCRIPTION = """Duel at 60 Hz, 8 inference workers (k = 1/16, tickets, inference made to take 120 ms, so that all eight are
needed), 2 learners, a checkpoint every 20 s, and the page with a viewer who takes every message. Every process is looked at from
outside, once a second. Private memory is the kernel's RssAnon and VmSwap: neither the board, which holds the replay, nor
code. After a warm-up of a fifth of the run, each sixtieth of the rest counts by its lowest value; the slope is the median of
those between any two of them (Theil and Sen), and the range is its 95 % interval (moving-block bootstrap of the residuals).
It is met, or not, only if the whole interval is; where the run is too short to say, nothing is said. A run shorter than an
hour may gain as much as one of an hour. Descriptors and threads: the least of the last tenth less the least of the first
tenth after the warm-up, of the process that gained most. A tick given up is one that the environment was too late for. The
range of the rate's error is that of tenths of the run."""


def measure(work: pathlib.Path, figures: Figures, table: pathlib.Path) -> list[dict]:
    """Rows of the report. Args: work: a folder for the run. table: the .csv to write, with its picture beside it."""
    seconds = 60 * figures.minutes
    capacity = max(LEAST_CAPACITY, min(CAPACITY, int(0.95 * WARM_UP * seconds * RATE_HZ)))
    flags = [*CROWD, f"--duration_s={seconds}", f"--replay_capacity={capacity}"]
    checkpoints = set()
    with (
        Run(work / "run", *flags) as run,
        Viewer(run.address()) as viewer,
    ):
        run.wait_for(lambda: len(run.ticks()), "did not begin")
        began_s = run.ticks()["boundary_ns"][0] / 1e9
        watch = Watch(run)
        watch.until_it_ends(LOOK_S, lambda: checkpoints.update(store.whole(run.folder)))
        checkpoints.update(store.whole(run.folder))
        seen = viewer.connections()
        summary = json.loads((run.folder / "summary.json").read_text())
        made = records.read(run.folder)
        faults = figures.faults(HOUR, run, summary)
    series = {name: one for name, one in watch.series(began_s).items() if name in PLACES}
    grown = trend.of({name: one.between(WARM_UP * seconds, seconds) for name, one in series.items()})
    for what, counts in (("descriptors", grown.descriptors), ("threads", grown.threads)):
        for name, count in counts.items():
            if count > 0:
                say(f"  {name} gained {count} {what}")
    picture.write_table(table, {name: one.between(0, seconds) for name, one in series.items()})
    picture.draw(table, grown.slopes, WARM_UP * seconds, figures.slope_goal)
    error, errors = records.rate_errors(made.ticks["boundary_ns"], RATE_HZ)
    last_s = made.ticks["boundary_ns"][-1] / 1e9
    looked_s = last_s - min((one["first_s"] for one in seen), default=began_s)
    return [
        figures.row(f"{HOUR}: length", summary["ticks"] / RATE_HZ / 60),
        figures.row(f"{HOUR}: error of the rate", error, errors),
        figures.row(f"{HOUR}: ticks given up", summary["slipped_ticks"]),
        figures.row(f"{HOUR}: lateness p99", summary["lateness_ms"]["p99"]),
        figures.row(f"{HOUR}: inaction", 100 * summary["inaction"]),
        figures.row(f"{HOUR}: decisions a second", len(made.decisions["obs_tick"]) / seconds),
        figures.row(f"{HOUR}: updates a second", summary["learning"]["updates_per_s"]),
        figures.row(f"{HOUR}: checkpoints made", len(checkpoints)),
        *(figures.slope(name, one) for name, one in grown.slopes.items()),
        figures.row(f"{HOUR}: descriptors gained, most", max(grown.descriptors.values())),
        figures.row(f"{HOUR}: threads gained, most", max(grown.threads.values())),
        figures.row(f"{HOUR}: processes replaced", watch.replaced),
        figures.row(
            f"{HOUR}: messages a second to the viewer",
            sum(one["messages"] for one in seen) / looked_s,
        ),
        figures.row(f"{HOUR}: connections the viewer lost", sum(one["last_s"] < last_s - PAGE_S for one in seen)),
        *faults,
    ]
