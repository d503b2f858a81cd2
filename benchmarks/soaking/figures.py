"""The figures of a soak with their goals, as rows of `report`, and those that every part of it has."""

import sys

import numpy as np
import report
from report import Goal

from soaking import records
from soaking.run import SUPERVISOR, Run
from soaking.trend import Slope

RATE_HZ = 60
PLAY = [
    "--environment=gameboy/duel-battles",
    f"--rate_hz={RATE_HZ}",
    "--width=0.0625",
    "--epsilon_start=0.05",
    "--epsilon_end=0.05",
    "--learn_start=500",
    "--learner_workers=2",
]
INFERENCE_WORKERS = 8
KILLABLE = (*(f"inference {number}" for number in range(INFERENCE_WORKERS)), "learner 0", "learner 1", "page")
# An inference is made to take nearly as many ticks as there are workers, so that each is needed: tickets would leave a network as
# fast as this one to the first of them.
CROWD = [
    *PLAY,
    f"--inference_workers={INFERENCE_WORKERS}",
    "--emulated_inference_ms=120",
    "--checkpoint_every_s=20",
    "--page=0",
]
SLOPE_GOAL = 1.0  # MB an hour, or in a whole run that is shorter
HOUR, KILLS, RESUMES = "long run", "workers killed", "whole runs killed"


class Figures:
    """Which figures there are, `goals`, and rows of them."""

    def __init__(self, minutes: float, kills: int, resumes: int):
        """Args: minutes: of the long run. kills: of workers. resumes: after kills of whole runs."""
        self.minutes, self.kills, self.resumes = minutes, kills, resumes
        self.slope_goal = SLOPE_GOAL * max(1.0, 60 / minutes)  # MB an hour
        slopes = {slope_of(name): Goal("hour", self.slope_goal, "at most", "MB/h") for name in PLACES}
        of_kills, of_resumes = f"of {kills}", f"of {resumes}"
        self.goals = {
            f"{HOUR}: length": Goal("hour", None, "", "min"),
            f"{HOUR}: error of the rate": Goal("hour", 0.001, "at most", "%"),
            f"{HOUR}: ticks given up": Goal("hour", None, "", ""),
            f"{HOUR}: lateness p99": Goal("hour", None, "", "ms"),
            f"{HOUR}: inaction": Goal("hour", None, "", "%"),
            f"{HOUR}: decisions a second": Goal("hour", None, "", "/s"),
            f"{HOUR}: updates a second": Goal("hour", None, "", "/s"),
            f"{HOUR}: checkpoints made": Goal("hour", None, "", ""),
            **slopes,
            f"{HOUR}: descriptors gained, most": Goal("hour", 0, "at most", ""),
            f"{HOUR}: threads gained, most": Goal("hour", 0, "at most", ""),
            f"{HOUR}: processes replaced": Goal("hour", 0, "at most", ""),
            f"{HOUR}: messages a second to the viewer": Goal("hour", 10, "above", "/s"),
            f"{HOUR}: connections the viewer lost": Goal("hour", 0, "at most", ""),
            **_faults(HOUR, "hour"),
            f"{KILLS}: replaced": Goal("kills", kills, "at least", of_kills),
            f"{KILLS}: named in the summary": Goal("kills", kills, "at least", of_kills),
            f"{KILLS}: until there is another": Goal("kills", None, "", "s"),
            f"{KILLS}: until an inference worker is at work again": Goal("kills", None, "", "s"),
            f"{KILLS}: until a learner is at work again": Goal("kills", None, "", "s"),
            f"{KILLS}: until the viewer sees the run again": Goal("kills", None, "", "s"),
            f"{KILLS}: not at work again": Goal("kills", 0, "at most", of_kills),
            f"{KILLS}: error of the rate": Goal("kills", 0.01, "at most", "%"),
            f"{KILLS}: ticks given up": Goal("kills", None, "", ""),
            f"{KILLS}: inaction": Goal("kills", None, "", "%"),
            f"{KILLS}: updates without a record": Goal("kills", None, "", ""),
            **_faults(KILLS, "kills"),
            f"{RESUMES}: resumed": Goal("resumes", resumes, "at least", of_resumes),
            f"{RESUMES}: refused": Goal("resumes", 0, "at most", of_resumes),
            f"{RESUMES}: resumed from an older checkpoint than the newest": Goal("resumes", None, "", of_resumes),
            f"{RESUMES}: resumed, and then made no checkpoint": Goal("resumes", 0, "at most", of_resumes),
            f"{RESUMES}: ticks played anew": Goal("resumes", None, "", "ticks"),
            f"{RESUMES}: of these, ticks that the newest checkpoint had": Goal("resumes", None, "", "ticks"),
            f"{RESUMES}: checkpoints left of what was played anew": Goal("resumes", 0, "at most", ""),
            f"{RESUMES}: from --resume to the first new tick": Goal("resumes", None, "", "s"),
            f"{RESUMES}: updates without a record": Goal("resumes", None, "", ""),
            **_faults(RESUMES, "resumes"),
        }

    def row(self, name: str, value: float, spread=()) -> dict:
        """A row of the table. Args: spread: values whose range it shows."""
        found = report.rows({name: [value]}, self.goals)[0]
        values = [value, *spread]
        return {**found, "least": float(min(values)), "most": float(max(values))}

    def median(self, name: str, values: list[float]) -> list[dict]:
        """A row with the median and the range of the values; none if there are none."""
        return [self.row(name, float(np.median(values)), values)] if values else []

    def slope(self, process: str, slope: Slope) -> dict:
        """A row that is met, or not, only if all of its interval is."""
        found = self.row(slope_of(process), slope.an_hour, slope[1:])
        return {**found, "met": slope.at_most(self.slope_goal)}

    def faults(self, what: str, run: Run, summary: dict, orphans: int = 0, segments: int = 0) -> list[dict]:
        """Rows on what should not be, of a run that has ended. Args: orphans, segments: left by what was killed before."""
        made = records.read(run.folder)
        missing, twice = records.missing_and_twice(made.ticks["tick"])
        left = run.orphans()
        for process in left:
            say(f"  left behind: {process}")
        found = (
            missing,
            twice,
            records.unexplained(made),
            summary["records_lost"],
            records.missing_and_twice(made.updates["applied_version"])[1],
            orphans + len(left),
            segments + len(run.segments()),
            abs(run.exit_status()),
        )
        return [self.row(f"{what}: {name}", value) for name, value in zip(FAULTS, found, strict=True)]


FAULTS = (
    "ticks missing",
    "ticks recorded twice",
    "ticks whose decision is missing",
    "records lost",
    "updates recorded twice",
    "orphans",
    "segments left",
    "exit status",
)
PLACES = (SUPERVISOR, "environment", *KILLABLE)


def _faults(what: str, part: str) -> dict[str, Goal]:
    return {f"{what}: {name}": Goal(part, 0, "at most", "") for name in FAULTS}


def slope_of(process: str) -> str:
    return f"{HOUR}: memory's slope, {process}"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
