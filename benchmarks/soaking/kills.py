"""Workers of one run are killed, at random instants; each must be replaced, and the run goes on as if nothing had happened."""

import collections
import json
import math
import pathlib
import time
from typing import NamedTuple

import numpy as np

from soaking import records
from soaking.figures import CROWD, KILLABLE, KILLS, RATE_HZ, Figures, say
from soaking.run import Run
from soaking.viewer import Viewer

BETWEEN_S = (2.0, 10.0)
AFTERWARDS_S = 60.0  # until the last one killed should be at work again
REPLACED_WITHIN_S = 30.0
ENDING_S = 120.0
LOOK_S = 0.02
ROLES = {
    "inference": "an inference worker is at work",
    "learner": "a learner is at work",
    "page": "the viewer sees the run",
}

DESCRIPTION = f"""SIGKILL to an inference worker, a learner or the page, whichever chance chooses, busy or starting,
{BETWEEN_S[0]:g} to {BETWEEN_S[1]:g} s after the one before, though not three times in a row in one place. The run is like the
long one. At work again: its first decision, its first update, the viewer's next message. A learner killed between its commit and
its record leaves an update without a record. The range is that of the kills."""


class Kill(NamedTuple):
    name: str
    at_s: float  # time.monotonic()
    replaced_s: float | None  # until there was another process; None if there was none


def measure(work: pathlib.Path, figures: Figures, seed: int) -> list[dict]:
    """Rows of the report. Args: work: a folder for the run."""
    rng = np.random.default_rng(seed)
    waits = rng.uniform(*BETWEEN_S, size=figures.kills)
    length_s = waits.sum() + AFTERWARDS_S
    flags = [*CROWD, f"--duration_s={length_s}"]
    kills = []
    with (
        Run(work / "run", *flags) as run,
        Viewer(run.address()) as viewer,
    ):
        run.wait_for(lambda: len(run.ticks()), "did not begin")
        at = time.monotonic()
        for number, wait in enumerate(waits, 1):
            at = max(at + wait, time.monotonic())
            time.sleep(max(0.0, at - time.monotonic()))
            if run.exit_status() is not None:
                say("  the run has ended")
                break
            kills.append(kill(run, choose(rng, kills)))
            say(f"  {number} of {len(waits)}: {kills[-1].name}")
        run.wait(length_s + ENDING_S)
        seen = viewer.connections()
        summary = json.loads((run.folder / "summary.json").read_text())
        made = records.read(run.folder)
        faults = figures.faults(KILLS, run, summary)
    named = collections.Counter(failure["process"] for failure in summary["failures"])
    again = [(one.name.partition(" ")[0], at_work_again_s(one, kills, made, seen)) for one in kills]
    error, errors = records.rate_errors(made.ticks["boundary_ns"], RATE_HZ)
    return [
        figures.row(f"{KILLS}: replaced", sum(one.replaced_s is not None for one in kills)),
        figures.row(f"{KILLS}: named in the summary", (named & collections.Counter(one.name for one in kills)).total()),
        *figures.median(
            f"{KILLS}: until there is another", [one.replaced_s for one in kills if one.replaced_s is not None]
        ),
        *(
            row
            for role, what in ROLES.items()
            for row in figures.median(
                f"{KILLS}: until {what} again",
                [wait for its, wait in again if its == role and wait is not None and wait < math.inf],
            )
        ),
        figures.row(f"{KILLS}: not at work again", sum(wait == math.inf for _, wait in again)),
        figures.row(f"{KILLS}: error of the rate", error, errors),
        figures.row(f"{KILLS}: ticks given up", summary["slipped_ticks"]),
        figures.row(f"{KILLS}: inaction", 100 * summary["inaction"]),
        figures.row(
            f"{KILLS}: updates without a record", records.missing_and_twice(made.updates["applied_version"])[0]
        ),
        *faults,
    ]


def choose(rng: np.random.Generator, kills: list[Kill]) -> str:
    """The next to be killed."""
    last = {one.name for one in kills[-2:]}
    barred = last if len(last) == 1 and len(kills) > 1 else set()
    return str(rng.choice([name for name in KILLABLE if name not in barred]))


def kill(run: Run, name: str) -> Kill:
    """Kills the process of that name and waits for the one that takes its place."""
    try:
        victim = run.wait_for(lambda: run.processes().get(name), f"has no {name}", REPLACED_WITHIN_S)
    except RuntimeError as error:
        say(f"  {error}")
        return Kill(name, time.monotonic(), None)
    victim.kill()
    began_s = time.monotonic()
    while time.monotonic() - began_s < REPLACED_WITHIN_S and run.exit_status() is None:
        if run.processes().get(name, victim) != victim:
            return Kill(name, began_s, time.monotonic() - began_s)
        time.sleep(LOOK_S)
    return Kill(name, began_s, None)


def at_work_again_s(one: Kill, kills: list[Kill], made: records.Records, seen: list[dict]) -> float | None:
    """From the kill until its successor did something; None if that was killed before it could, infinity if it never did."""
    role, _, number = one.name.partition(" ")
    if role == "page":
        starts_s = np.array([connection["first_s"] for connection in seen])
    elif role == "learner":
        starts_s = made.updates["start_ns"][made.updates["learner"] == int(number)] / 1e9
    else:
        starts_s = made.decisions["start_ns"][made.decisions["worker"] == int(number)] / 1e9
    waits = starts_s[starts_s > one.at_s] - one.at_s
    until_next = min(
        (other.at_s for other in kills if other.name == one.name and other.at_s > one.at_s), default=math.inf
    )
    if len(waits) and one.at_s + waits.min() < until_next:
        return float(waits.min())
    return None if until_next < math.inf else math.inf
