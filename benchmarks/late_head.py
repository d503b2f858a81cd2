"""Measures the late head on this machine: its own time at every width, and what it knows in runs on the wall clock.

  python benchmarks/late_head.py                       writes results/late_head/realtime.md; leave the machine alone meanwhile
  python benchmarks/late_head.py --only=run --repeats=1

The runs are the paper's network with k = 1, made to take 58 ms, 3.5 ticks: so D is 4.
"""

import pathlib
import sys
import tempfile
import time

import jax
import numpy as np
import report
from absl import flags
from report import Goal

import rtrl_jax
from rtrl_jax import environments
from rtrl_jax.core.model import Model
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command
from rtrl_jax.networks import runtime
from rtrl_jax.settings import Settings

ONLY = flags.DEFINE_list("only", None, "names of the parts to measure: head, run; default: both")
REPEATS = flags.DEFINE_integer("repeats", 3, "repeats of each part", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 40.0, "length of a run", lower_bound=4.0)
OUT = flags.DEFINE_string("out", "results/late_head", "folder for the results")

WIDTHS = {"k = 1/16": 1 / 16, "k = 1": 1.0, "k = 7": 7.0, "k = 29": 29.0}
REFLEX = "with a reflex"
CALLS = 2000
PLAY = {
    "environment": "atari/Boxing",
    "width": 1.0,
    "learner_workers": "0",
    "epsilon_end": 0.0,
    "emulated_inference_ms": "normal:58,2",
    "inference_workers": "4",
    "workers_per_process": 4,
    "playout": "4",
    "checkpoint_every_s": 0.0,
    "display": "none",
}
GOALS = {
    **{f"the head alone, {name}": Goal("head", 1.67, "below", "ms") for name in WIDTHS},
    "the head alone, with a reflex": Goal("head", 1.67, "below", "ms"),
    "actions that knew all before them": Goal("run", 99.5, "at least", "%"),
    "the head in a run, p50": Goal("run", None, "", "ms"),
    "the head in a run, p99": Goal("run", None, "", "ms"),
    "wait for the last tick, mean": Goal("run", None, "", "ms"),
    "ticks left to β, late head": Goal("run", None, "", "%"),
    "ticks left to β, none": Goal("run", None, "", "%"),
    "mean delay, late head": Goal("run", None, "", "ticks"),
    "lateness p99, late head": Goal("run", None, "", "ms"),
    "lateness p99, none": Goal("run", None, "", "ms"),
}
NOTES = (
    "A tick of the Atari games is 16.7 ms, and the head's goal a tenth of it, at every width. Alone it is called in a loop,\n"
    "from features and three actions to an action in Python; in a run it wakes up in the last tick before its decision acts,\n"
    "and finds cold caches. In either run four workers share a process."
)


def main() -> None:
    parts = {"head": measure_head, "run": measure_run}
    if unknown := set(ONLY.value or parts) - set(parts):
        raise UserError(f"--only={unknown.pop()}: there are {', '.join(parts)}")
    found: dict[str, list[float]] = {}
    for part in ONLY.value or parts:
        for repeat in range(REPEATS.value):
            print(f"{part}, {repeat + 1} of {REPEATS.value} …", file=sys.stderr, flush=True)
            for name, value in parts[part]().items():
                found.setdefault(name, []).append(value)
    out, title = pathlib.Path(OUT.value), "The late head in real time"
    print(report.write(out, "realtime", title, report.rows(found, GOALS), GOALS, REPEATS.value, NOTES))


def measure_head() -> dict[str, float]:
    """The median of many calls: the head's parameters are those of the whole network, which is made and thrown away."""
    runtime.configure()
    world = environments.make("atari/Boxing")
    spec, found = world.spec, {}
    world.close()
    for name, width in {**WIDTHS, REFLEX: 1.0}.items():
        settings = Settings(environment="atari/Boxing", pending="late", delay=4, fast=False, reflex=name == REFLEX)
        model = Model(settings, spec, "resnet15", width)
        leaves = [np.zeros(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(model.shapes)]
        tree, head = jax.device_put(jax.tree.unflatten(model.structure, leaves)), model.head()
        seen, times = model.blank()._replace(observation=np.zeros(512, np.float32)), []
        for _ in range(CALLS):
            began = time.perf_counter_ns()
            int(head(tree, seen, np.uint32(0)))
            times.append(time.perf_counter_ns() - began)
        found[f"the head alone, {name}"] = float(np.median(times[CALLS // 10 :]) / 1e6)
    return found


def measure_run() -> dict[str, float]:
    found = {}
    for name, pending in (("none", "none"), ("late head", "late")):
        with tempfile.TemporaryDirectory() as folder:
            summary = rtrl_jax.run(**PLAY, pending=pending, duration_s=SECONDS.value, run_dir=f"{folder}/run")
        if summary["failures"]:
            raise RuntimeError(f"a process failed: {summary['failures']}")
        found[f"ticks left to β, {name}"] = 100 * summary["inaction"]
        found[f"lateness p99, {name}"] = summary["lateness_ms"]["p99"]
    inference = summary["inference"]
    return found | {
        "actions that knew all before them": 100 * inference["told_all"],
        "the head in a run, p50": inference["head_p50_ms"],
        "the head in a run, p99": inference["head_p99_ms"],
        "wait for the last tick, mean": inference["head_wait_mean_ms"],
        "mean delay, late head": summary["delay"]["mean"],
    }


if __name__ == "__main__":
    sys.exit(run_command(main))
