"""Measures what the real-time system promises on this machine and writes results/realtime.json and results/realtime.md.

  make bench                                  everything, in ten minutes; leave the machine alone meanwhile
  python benchmarks/realtime.py --only=ticket --repeats=1

Real processes and the wall clock throughout. Every run starts afresh; the table gives the median and the range of the repeats.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import report
from absl import flags
from report import Goal

import rtrl_jax
from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

ONLY = flags.DEFINE_list("only", None, "names of the parts to measure; default: all")
REPEATS = flags.DEFINE_integer("repeats", 3, "runs of each part", lower_bound=1)
SECONDS = flags.DEFINE_float(
    "seconds", 60.0, "length of a run; the runs that only show inaction take half", lower_bound=4.0
)
OUT = flags.DEFINE_string("out", "results", "folder for the results")

# Always the network, never a random action: the hardest case for inaction.
PLAY = {"environment": "atari/Boxing", "parameters": "1M", "epsilon_start": 0.0, "epsilon_end": 0.0, "display": "none"}
RUNS = {
    "ticket": {"stagger": "ticket"},
    "max_time_bounded": {"stagger": "max_time", "stagger_quantile": 0.99},
    "max_time": {"stagger": "max_time"},
    "emulated_72_workers": {
        "inference_workers": "72",
        "workers_per_process": 72,
        "emulated_inference_ms": "1170",
        "learner_workers": 0,
    },
}
GOALS = {
    "tick rate error": Goal("ticket", 0.01, "at most", "%"),
    "lateness p99": Goal("ticket", 0.5, "below", "ms"),
    "inaction, ticket": Goal("ticket", 1.0, "below", "%"),
    "inaction, Algorithm 1 bounded": Goal("max_time_bounded", 2.0, "at most", "%"),
    "inaction, Algorithm 1": Goal("max_time", None, "", "%"),
    "decision overhead p50": Goal("ticket", 0.3, "below", "ms"),
    "decision overhead p99": Goal("ticket", 1.0, "below", "ms"),
    "updates a second": Goal("ticket", None, "", "/s"),
    "command to first action, nothing compiled yet": Goal("startup", 8.0, "below", "s"),
    "command to first action, compiled before": Goal("startup", 4.0, "below", "s"),
    "Game Boy: frames a second on one core": Goal("gameboy", 4000.0, "at least", "/s"),
    "Atari: frames a second on one core": Goal("gameboy", None, "", "/s"),
    "Game Boy: work at a boundary p99": Goal("gameboy", 0.5, "below", "ms"),
    "newest snapshot at 100 M": Goal("snapshot", 0.1, "below", "ms"),
    "publishing at 100 M": Goal("snapshot", None, "", "ms"),
    "copying as many bytes": Goal("snapshot", None, "", "ms"),
    "publishing at 100 M, of memcpy": Goal("snapshot", 70.0, "at least", "%"),
    "72 emulated workers: ticks acted on, after the first 72": Goal("emulated_72_workers", 97.0, "above", "%"),
    "72 emulated workers: mean delay": Goal("emulated_72_workers", 71.0, "within 1 of", "ticks"),
}


def main() -> None:
    parts = ONLY.value or [*RUNS, *OTHERS]
    if unknown := set(parts) - {*RUNS, *OTHERS}:
        raise UserError(f"--only={unknown.pop()}: there are {', '.join([*RUNS, *OTHERS])}")
    found: dict[str, list[float]] = {}
    for part in parts:
        for repeat in range(REPEATS.value):
            print(f"{part}, {repeat + 1} of {REPEATS.value} …", file=sys.stderr, flush=True)
            for name, value in (OTHERS[part]() if part in OTHERS else measure_run(part)).items():
                found.setdefault(name, []).append(value)
    out, title = pathlib.Path(OUT.value), "Real time on this machine"
    print(report.write(out, "realtime", title, report.rows(found, GOALS), GOALS, REPEATS.value))


def measure_run(part: str) -> dict[str, float]:
    """One run in a folder of its own, analysed from its files."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "run")
        seconds = SECONDS.value if part == "ticket" else SECONDS.value / 2
        summary = rtrl_jax.run(**PLAY, **RUNS[part], duration_s=seconds, run_dir=str(path))
        ticks, decisions = np.load(path / "ticks.npz"), np.load(path / "decisions.npz")
    if summary["failures"]:
        raise RuntimeError(f"a process failed: {summary['failures']}")
    inaction = 100 * summary["inaction"]
    if part == "emulated_72_workers":
        after_first = 100 * (~ticks["is_default"][summary["inference"]["workers"] :]).mean()
        return {
            "72 emulated workers: ticks acted on, after the first 72": float(after_first),
            "72 emulated workers: mean delay": summary["delay"]["mean"],
        }
    if part != "ticket":
        name = "inaction, Algorithm 1 bounded" if part == "max_time_bounded" else "inaction, Algorithm 1"
        return {name: inaction}
    waits_ns = (
        decisions["start_ns"] - ticks["published_ns"][decisions["obs_tick"]]
        + decisions["registered_ns"] - decisions["end_ns"]
    )  # fmt: skip
    return {
        "tick rate error": 100 * abs(summary["measured_rate_hz"] / summary["rate_hz"] - 1),
        "lateness p99": summary["lateness_ms"]["p99"],
        "inaction, ticket": inaction,
        "decision overhead p50": float(np.quantile(waits_ns, 0.5) / 1e6),
        "decision overhead p99": float(np.quantile(waits_ns, 0.99) / 1e6),
        "updates a second": summary["learning"]["updates_per_s"],
    }


def measure_startup() -> dict[str, float]:
    """From the command, as a person types it, to the first boundary at which the agent acted."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("nothing compiled yet", "compiled before"):
            path = pathlib.Path(folder, name.replace(" ", "-"))
            command = [sys.executable, "launch/run.py", "--max_ticks=30", f"--run_dir={path}"]
            command += [f"--{key}={value}" for key, value in PLAY.items()]
            began = time.monotonic_ns()
            subprocess.run(command, check=True, env={**os.environ, "RTRL_CACHE": f"{folder}/cache"})
            ticks = np.load(path / "ticks.npz")
            first = int(np.argmax(~ticks["is_default"]))
            found[f"command to first action, {name}"] = (ticks["boundary_ns"][first] - began) / 1e9
    return found


def measure_gameboy() -> dict[str, float]:
    """The emulator with its frames made small, as fast as it goes on one core; then a real-time run beside a learner."""
    fps = {name: _frames_a_second(name) for name in ("gameboy/duel-battles", "atari/Boxing")}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "run")
        seconds = SECONDS.value / 2
        rtrl_jax.run(**{**PLAY, "environment": "gameboy/duel-battles"}, duration_s=seconds, run_dir=str(path))
        ticks = np.load(path / "ticks.npz")
    work_ns = ticks["published_ns"] - ticks["boundary_ns"]
    return {
        "Game Boy: frames a second on one core": fps["gameboy/duel-battles"],
        "Atari: frames a second on one core": fps["atari/Boxing"],
        "Game Boy: work at a boundary p99": float(np.quantile(work_ns, 0.99) / 1e6),
    }


def _frames_a_second(environment: str) -> float:
    script = (
        "import sys, time, numpy as np; from rtrl_jax import environments;"
        "e = environments.make(sys.argv[1]); e.reset(seed=0);"
        "a = np.random.default_rng(0).integers(e.spec.actions, size=20000);"
        "b = time.perf_counter(); [e.reset() if e.step(int(x))[2] else None for x in a];"
        "print(len(a) / (time.perf_counter() - b))"
    )
    pinned = ["taskset", "-c", "0", sys.executable, "-c", script, environment]
    return float(subprocess.run(pinned, check=True, capture_output=True, text=True).stdout)


def measure_snapshots() -> dict[str, float]:
    """Taking and publishing parameters of the 100 M network, on a board of its own."""
    import mmap

    from rtrl_jax import networks
    from rtrl_jax.board import snapshots
    from rtrl_jax.board.layout import Board, Dimensions, size
    from rtrl_jax.networks import parameters

    tree = parameters.shapes(networks.build("resnet15", 6, 29), (84, 84, 1), "uint8")
    import jax

    leaves, span = snapshots.arrange(jax.tree.leaves(tree))
    board = Board(*(lambda d: (d, mmap.mmap(-1, size(d))))(Dimensions(4096, (1,), "float32", 1, 262, 1, 3, 4, span)))
    board.latest[0] = -1
    arrays = [np.ones(leaf.shape, np.float32) for leaf in leaves]
    publisher = snapshots.Publisher(board, leaves)
    reader = snapshots.Reader(board, 1, lambda slot: snapshots.views(leaves, slot))
    publishing, copying, taking = [], [], []
    flat, target = np.ones(span // 4, np.float32), np.ones(span // 4, np.float32)
    for version in range(12):
        publishing.append(_timed(lambda version=version: publisher.publish(arrays, version)))
        copying.append(_timed(lambda: np.copyto(target, flat)))
    for _ in range(1000):
        taking.append(_timed(lambda: reader.newest_version()))
    # The first rounds touch each slot's memory for the first time.
    return {
        "newest snapshot at 100 M": float(np.median(taking)),
        "publishing at 100 M": float(np.median(publishing[4:])),
        "copying as many bytes": float(np.median(copying[4:])),
        "publishing at 100 M, of memcpy": float(100 * np.median(copying[4:]) / np.median(publishing[4:])),
    }


OTHERS = {"startup": measure_startup, "gameboy": measure_gameboy, "snapshot": measure_snapshots}


def _timed(call) -> float:
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(run_command(main))
