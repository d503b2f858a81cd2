"""What a long run keeps and what a killed one loses, on this machine; writes results/soak.md, .json, .csv and .png.

  make soak                                  an hour's run, 50 kills of workers, 20 of whole runs: an hour and a half in all
  make soak MINUTES=5                        the same, shorter in every part; the results go to runs/soak
  python benchmarks/soak.py --only=kills     one part of it; what the others found stays as it is

Leave the machine alone meanwhile. The exit status is 1 if a goal was missed; then the runs are kept.
"""

import math
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import report
from absl import flags
from soaking import hour, kills, resumes
from soaking.figures import Figures, say

from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

HOUR = 60.0  # minutes
PARTS = ("hour", "kills", "resumes")

ONLY = flags.DEFINE_list("only", None, f"of {', '.join(PARTS)}; default: all")
MINUTES = flags.DEFINE_float("minutes", HOUR, "length of the long run", lower_bound=1.0)
KILLS = flags.DEFINE_integer(
    "kills", None, "of workers; default: 50 for an hour, in proportion for less", lower_bound=1
)
RESUMES = flags.DEFINE_integer(
    "resumes", None, "kills of whole runs; default: 20 for an hour, in proportion for less", lower_bound=1
)
SEED = flags.DEFINE_integer("seed", 0, "of who is killed, when, and where files are cut")
OUT = flags.DEFINE_string("out", None, "folder for the results; default: results, and runs/soak for less than an hour")

METHOD = f"""The long run: {hour.DESCRIPTION}

Workers killed: {kills.DESCRIPTION}

Whole runs killed: {resumes.DESCRIPTION}"""
PICTURE = "\n\n![Private memory of each process over time](soak.png)"


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parts = ONLY.value or PARTS
    if unknown := set(parts) - set(PARTS):
        raise UserError(f"--only={unknown.pop()}: there are {', '.join(PARTS)}")
    out = pathlib.Path(OUT.value or ("results" if MINUTES.value >= HOUR else "runs/soak"))
    out.mkdir(parents=True, exist_ok=True)
    figures = Figures(MINUTES.value, _how_many(KILLS.value, 50), _how_many(RESUMES.value, 20))
    measure = {
        "hour": lambda work: hour.measure(work, figures, out / "soak.csv"),
        "kills": lambda work: kills.measure(work, figures, SEED.value),
        "resumes": lambda work: resumes.measure(work, figures, SEED.value),
    }
    work, missed = pathlib.Path(tempfile.mkdtemp(prefix="rtrl_jax-soak-")), []
    os.environ["RTRL_CACHE"] = str(work / "cache")  # whoever is killed while it compiles spoils nobody else's
    try:
        for part in parts:
            say(f"{part} …")
            (work / part).mkdir()
            rows = measure[part](work / part)
            missed += [row["name"] for row in rows if row["met"] is False]
            notes = METHOD + (PICTURE if (out / "soak.png").exists() else "")
            text = report.write(out, "soak", "Long runs and killed ones", rows, figures.goals, 1, notes)
        print(text)
        if missed:
            raise RuntimeError(f"missed: {'; '.join(missed)}")
    except BaseException:
        say(f"the runs are kept in {work}")
        raise
    shutil.rmtree(work)


def _how_many(wanted: int | None, in_an_hour: int) -> int:
    return wanted or math.ceil(in_an_hour * min(1.0, MINUTES.value / HOUR))


if __name__ == "__main__":
    sys.exit(run_command(main))
