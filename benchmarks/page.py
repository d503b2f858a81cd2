"""Measures what the live page costs the environment, and writes results/page.json and results/page.md.

  python benchmarks/page.py                 three runs of each; leave the machine alone meanwhile
  python benchmarks/page.py --repeats=1 --seconds=10

The same run without a page, with a page nobody looks at, and with three viewers, each of whom takes every message.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import report
from absl import flags
from report import Goal
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from rtrl_jax.flags import run_command

REPEATS = flags.DEFINE_integer("repeats", 3, "runs of each part", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 30.0, "length of a run", lower_bound=4.0)
OUT = flags.DEFINE_string("out", "results", "folder for the results")

PLAY = ["--environment=gameboy/duel-battles", "--parameters=1M", "--epsilon_start=0", "--epsilon_end=0"]
VIEWERS = {"without a page": None, "with a page": 0, "with three viewers": 3}
GOALS = {
    f"{what} {name}": Goal(name, None, "", unit)
    for name in VIEWERS
    for what, unit in (("lateness p50", "ms"), ("lateness p99", "ms"), ("inaction", "%"))
} | {"messages a second to each of three viewers": Goal("with three viewers", 10.0, "above", "/s")}


def main() -> None:
    found: dict[str, list[float]] = {}
    for repeat in range(REPEATS.value):
        for name, viewers in VIEWERS.items():
            print(f"{name}, {repeat + 1} of {REPEATS.value} …", file=sys.stderr, flush=True)
            for what, value in measure(name, viewers).items():
                found.setdefault(what, []).append(value)
    rows = report.rows(found, GOALS)
    print(report.write(pathlib.Path(OUT.value), "page", "What the page costs", rows, GOALS, REPEATS.value))


def measure(name: str, viewers: int | None) -> dict[str, float]:
    """One run, looked at by so many. Args: viewers: None for a run that serves no page."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "launch/run.py", *PLAY, f"--duration_s={SECONDS.value}", f"--run_dir={folder}/run"]
        words += [] if viewers is None else ["--page=0"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        counts, threads, printed = [], [], []
        for line in process.stderr:
            printed.append(line)
            if address := re.search(r"http://(\S+)", line):
                for _ in range(viewers or 0):
                    threads.append(threading.Thread(target=look, args=(f"ws://{address[1]}live", counts)))
                    threads[-1].start()
        if process.wait():
            raise RuntimeError("".join(printed))
        for thread in threads:
            thread.join()
        summary = json.loads(pathlib.Path(folder, "run", "summary.json").read_text())
    found = {
        f"lateness p50 {name}": summary["lateness_ms"]["p50"],
        f"lateness p99 {name}": summary["lateness_ms"]["p99"],
        f"inaction {name}": 100 * summary["inaction"],
    }
    if viewers:
        found["messages a second to each of three viewers"] = min(counts)
    return found


def look(address: str, counts: list[float]) -> None:
    """Takes every message until the run ends, and appends how many came a second."""
    taken, began = 0, None
    try:
        with connect(address, open_timeout=60) as wire:
            while True:
                wire.recv()
                began = began or time.monotonic()
                taken += 1
                wire.send(json.dumps({"type": "seen", "number": taken}))
    except ConnectionClosed:
        counts.append(taken / (time.monotonic() - began))


if __name__ == "__main__":
    sys.exit(run_command(main))
