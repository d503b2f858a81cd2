"""Draws the stagger timeline of one or more runs: which worker thought when, and which tick its action acted on.

python launch/plot.py --runs=runs/one,runs/two --first_tick=200 --ticks=16 --out=timeline.png
"""

import pathlib
import sys

from absl import flags

from rtrl_jax.command import run_command
from rtrl_jax.errors import UserError

RUNS = flags.DEFINE_list("runs", None, "run folders, a panel for each")
TITLES = flags.DEFINE_multi_string("title", None, "a title for each panel, in order; default: the folder")
FIRST_TICK = flags.DEFINE_integer("first_tick", 100, "first tick to show", lower_bound=0)
TICKS = flags.DEFINE_integer("ticks", 16, "ticks to show", lower_bound=1)
OUT = flags.DEFINE_string("out", "timeline.png", "picture to write; the ending says which kind (.png or .svg)")


def main() -> None:
    if not RUNS.value:
        raise UserError("name one or more run folders: --runs=runs/one,runs/two")
    titles = TITLES.value or RUNS.value
    if len(titles) != len(RUNS.value):
        raise UserError(f"--title was given {len(titles)} times for {len(RUNS.value)} runs")
    out = pathlib.Path(OUT.value)
    if out.suffix not in (".png", ".svg"):
        raise UserError(f"--out={out}: it should end in .png or .svg")

    from rtrl_jax.telemetry import timeline

    figure = timeline.draw([timeline.load(run) for run in RUNS.value], titles, FIRST_TICK.value, TICKS.value)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=150)
    print(f"wrote {out}")


if __name__ == "__main__":
    sys.exit(run_command(main))
