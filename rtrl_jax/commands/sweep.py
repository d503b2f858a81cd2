"""Plays many runs of one flagfile, one for each cell of a grid of flags and each seed, on all cores at low priority.

rtrl-sweep --flagfile=paper/figure6-boxing-dqn-async --grid='delay=1,8;pending=none,late' --seeds=0-4 --out=runs/boxing
rtrl-sweep --flagfile=duel --delay=1 --grid=base --grid='n_steps=1,3' --grid=double_q=true --seeds=0-2 --out=runs/parts

Every flag of a run may be given too, and holds for all of them. Killed at any moment, and started again with the same
command, it goes on: with runs that had begun from their checkpoints, with what is finished not at all. In --out lie runs/,
runs.csv (every figure of each run), cells.csv (means over seeds, with half their 95 % t intervals), logs/ and failures/.

With --cluster=auto, runs in virtual time are played on all machines of the Ray cluster that this one has joined, which all have
to see the folder --out.

Ctrl-C and SIGTERM end it with a checkpoint of each run. Exit status: 0, all runs are finished; 1, some have failed or are
still to be finished; 2, bad input, and nothing has been written.
"""

import pathlib
import sys

from absl import flags
from rich.console import Console
from rich.table import Table

from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command, values
from rtrl_jax.settings import Settings

GRID = flags.DEFINE_multi_string(
    "grid",
    [],
    "'flag=value,value;flag=value': all combinations; base: no flag. Several grids together: the cells of them all",
)
SEEDS = flags.DEFINE_string("seeds", "0,1,2", "a run of each cell for each, e.g. 0,1,2 or 0-4")
OUT = flags.DEFINE_string("out", None, "folder of the sweep: new, empty, or with this sweep in it, which goes on")
JOBS = flags.DEFINE_integer(
    "jobs", None, "runs at a time; default: as many as there are cores and memory for", lower_bound=1
)
EPISODES = flags.DEFINE_integer(
    "evaluate_episodes", 0, "episodes to play greedily with the last checkpoint of each run; 0 for none", lower_bound=0
)
MOST_TICKS = flags.DEFINE_integer(
    "evaluate_max_ticks", 108_000, "cut longer episodes of the evaluation off", lower_bound=1
)
RETRY = flags.DEFINE_bool("retry_failed", False, "try runs again that have failed before")

SHOWN = {
    "episodes.return_mean": "return",
    "evaluation.mean": "evaluated",
    "inaction": "inaction",
    "delay.mean": "delay",
}


def main() -> int:
    sys.path.append("")  # modules of the user's own that register an environment

    from rtrl_jax.cluster.joining import joined
    from rtrl_jax.sweeps import definition, grid
    from rtrl_jax.sweeps.sweep import Playing, room
    from rtrl_jax.telemetry.terminal import Display

    given = values(Settings)
    if not OUT.value:
        raise UserError("say where the runs go: --out=FOLDER, new or empty, or that of a sweep to go on with")
    grid.check_common(given)
    played = definition.Played(EPISODES.value, MOST_TICKS.value if EPISODES.value else 0)
    sweep = definition.Sweep(
        Settings(**{**given, "cluster": Settings.cluster}), grid.cells(GRID.value), grid.seeds(SEEDS.value), played
    )
    address = Settings(**given).cluster_address if sweep.is_virtual else None
    if address is None:  # by the wall clock a run is alone on the cluster, with workers on all its machines
        sweep = sweep._replace(settings=Settings(**given))
    out = pathlib.Path(OUT.value).expanduser().absolute()
    definition.check_folder(out, sweep)
    takes = sweep.check()

    display = Display(f"sweep {out.name}", given["display"] == "auto", line_every_s=60.0)
    with joined(address) as cluster, definition.opened(out, sweep), display:
        jobs = JOBS.value or (cluster.cores if cluster else room(sweep.settings))
        rows = Playing(sweep, out, jobs, display, takes, cluster).play(RETRY.value)
    if given["display"] == "auto":
        _show(rows, out)
    return 0 if all(row.state == "finished" for row in rows) else 1


def _show(rows, out: pathlib.Path) -> None:
    """The table of cells, and what is not finished."""
    from rtrl_jax.sweeps import place, table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    cells = table.cells(rows)
    shown = {name: title for name, title in SHOWN.items() if any(cell.get(name) is not None for cell in cells)}
    drawn = Table(caption="means over seeds ± half the 95 % t interval", caption_justify="left", box=None)
    for title in ("cell", "seeds", *shown.values()):
        drawn.add_column(title, justify="left" if title == "cell" else "right", overflow="fold")
    for cell in cells:
        drawn.add_row(
            cell["cell"],
            f"{cell['seeds']} of {cell['of']}",
            *(_mean(cell.get(name), cell.get(name + table.INTERVAL)) for name in shown),
        )
    console.print(drawn)
    for row in rows:
        if row.state == place.FAILED:
            console.print(f"failed: {row.run}: {row.reason}", soft_wrap=True, markup=False)
    failed = sum(row.state == place.FAILED for row in rows)
    left = sum(row.state not in (place.FAILED, place.FINISHED) for row in rows)
    if failed:
        console.print(f"{failed} of {len(rows)} runs have failed: --retry_failed tries them again", markup=False)
    if left:
        console.print(f"{left} of {len(rows)} runs are left: the same command goes on", markup=False)
    console.print(f"the tables are {out}/{table.RUNS} and {table.CELLS}", soft_wrap=True, markup=False)


def _mean(value: float | None, half: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if half is None else f"{value:.4g} ± {half:.2g}"


def command() -> int:
    return run_command(main, settings=Settings)
