"""Is an inference as fast in a run, where a worker sleeps for most of a tick, as in a loop? Writes results/in_a_run.json and .md.

  python benchmarks/in_a_run.py                      with and without rehearsals, in turn; leave the machine alone meanwhile
  python benchmarks/in_a_run.py --k=1 --repeats=1

Runs on the wall clock with a learner beside the one inference worker; no action is random.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import report
from absl import flags
from report import Goal

import rtrl_jax
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

WIDTHS = (0.0625, 1.0, 7.0)
K = flags.DEFINE_list("k", ["0.0625", "1"], "widths, of 0.0625, 1 and 7")
REPEATS = flags.DEFINE_integer("repeats", 3, "runs of each kind", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 20.0, "length of a run", lower_bound=4.0)
OUT = flags.DEFINE_string("out", "results", "folder for the results")

PLAY = {"environment": "atari/Boxing", "epsilon_start": 0.0, "epsilon_end": 0.0, "display": "none", "learn_start": 60}
SETTLING = 2.0  # seconds of a run that do not count
LOOP_SECONDS = 4
NOTES = (
    "The loop is one inference after another on one core, with nothing beside it. In a run the worker waits for its ticket on\n"
    "a core of its own, and one learner shares the environment's. With rehearsals it makes inferences for nobody just before a\n"
    "ticket can come."
)


def main() -> None:
    found: dict[str, list[float]] = {}
    widths = [float(k) for k in K.value]
    if unknown := set(widths) - set(WIDTHS):
        raise UserError(f"--k={unknown.pop():g}: there are {', '.join(f'{k:g}' for k in WIDTHS)}")
    goals = {name: goal for k in WIDTHS for name, goal in goals_of(k).items()}
    for repeat in range(REPEATS.value):
        for k in widths:
            print(f"k = {k:g}, {repeat + 1} of {REPEATS.value} …", file=sys.stderr, flush=True)
            for name, value in measure(k).items():
                found.setdefault(name, []).append(value)
    out = pathlib.Path(OUT.value)
    rows = report.rows(found, goals)
    print(report.write(out, "in_a_run", "An inference in a run and in a loop", rows, goals, REPEATS.value, NOTES))


def goals_of(k: float) -> dict[str, Goal]:
    name = f"k = {k:g}: "
    return {
        name + "p50 in a loop": Goal("loop", None, "", "ms"),
        name + "p50 in a run, over the loop's": Goal("run", 1.15, "at most", "x"),
        name + "the same without rehearsals": Goal("run", None, "", "x"),
        name + "p99 in a run": Goal("run", None, "", "ms"),
        name + "p99 without rehearsals": Goal("run", None, "", "ms"),
        name + "decision overhead p50": Goal("run", 0.3, "below", "ms"),
        name + "decision overhead p50 without rehearsals": Goal("run", None, "", "ms"),
        name + "share of the worker's time that rehearsals take": Goal("run", None, "", "%"),
    }


def measure(k: float) -> dict[str, float]:
    loop_ms = loop(k)
    run, bare = (in_a_run(k, rehearse) for rehearse in (True, False))
    name = f"k = {k:g}: "
    return {
        name + "p50 in a loop": loop_ms,
        name + "p50 in a run, over the loop's": run["p50"] / loop_ms,
        name + "the same without rehearsals": bare["p50"] / loop_ms,
        name + "p99 in a run": run["p99"],
        name + "p99 without rehearsals": bare["p99"],
        name + "decision overhead p50": run["overhead"],
        name + "decision overhead p50 without rehearsals": bare["overhead"],
        name + "share of the worker's time that rehearsals take": run["share"],
    }


def loop(k: float) -> float:
    script = pathlib.Path(__file__).with_name("speed_ours.py")
    command = [sys.executable, str(script), "inference", "15", f"{k:g}", str(LOOP_SECONDS)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["ms"]


def in_a_run(k: float, rehearse: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "run")
        summary = rtrl_jax.run(**PLAY, width=k, rehearse=rehearse, duration_s=SECONDS.value, run_dir=str(path))
        ticks, decisions = np.load(path / "ticks.npz"), np.load(path / "decisions.npz")
    if summary["failures"]:
        raise RuntimeError(f"a process failed: {summary['failures']}")
    counted = decisions["start_ns"] > decisions["start_ns"][0] + SETTLING * 1e9
    start, end, registered = (decisions[name][counted] for name in ("start_ns", "end_ns", "registered_ns"))
    overhead = start - ticks["published_ns"][decisions["obs_tick"][counted]] + registered - end
    return {
        "p50": float(np.quantile(end - start, 0.5) / 1e6),
        "p99": float(np.quantile(end - start, 0.99) / 1e6),
        "overhead": float(np.quantile(overhead, 0.5) / 1e6),
        "share": 100 * summary["rehearsals"]["share"],
    }


if __name__ == "__main__":
    sys.exit(run_command(main))
