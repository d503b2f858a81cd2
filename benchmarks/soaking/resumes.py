"""Whole runs are killed at once, their records are cut as by a power cut, and they are resumed, again and again.

`benchmarks/learning.py --only=kills` does it without cutting anything.
"""

import json
import pathlib
import time
from typing import NamedTuple

import numpy as np

from rtrl_jax.checkpoints import store
from soaking import power, records
from soaking.figures import PLAY, RESUMES, Figures, say
from soaking.run import Run

FLAGS = [*PLAY, "--inference_workers=2", "--checkpoint_every_s=1", "--duration_s=100000"]
AT_MOST_S = 3.0  # from a checkpoint until the run is killed
LAST_TICKS = 300  # played at the end, after which the run ends by itself
LEAST_CHECKPOINTS = 3
ENDING_S = 120.0
BAD_INPUT = 2  # an exit status

DESCRIPTION = f"""2 inference workers, 2 learners, a checkpoint every second. SIGKILL to all processes at once, up to
{AT_MOST_S:g} s after a checkpoint. Then each of the records' files is cut at a byte of its own, anywhere from what the oldest
checkpoint covers to the end, and the run is resumed: from the newest checkpoint that its records still cover. What came after
that is played anew. A run that is refused gets back what was cut off. The range is that of the kills."""


class Resumption(NamedTuple):
    """What became of a run that was killed and resumed."""

    refused: bool
    anew: int  # ticks that had been played before
    covered: int  # of these, such as the newest checkpoint had
    start_s: float  # from the command to the first new tick
    stuck: bool  # whether it made no checkpoint
    left: int  # checkpoints of the ticks that are played anew which are still there then


def measure(work: pathlib.Path, figures: Figures, seed: int) -> list[dict]:
    """Rows of the report. Args: work: a folder for the run."""
    rng, folder = np.random.default_rng(seed), work / "run"
    found, orphans, segments = [], 0, 0
    run = Run(folder, *FLAGS)
    try:
        run.wait_for(lambda: len(store.whole(folder)) >= LEAST_CHECKPOINTS, "made no checkpoints")
        for number in range(1, figures.resumes + 1):
            time.sleep(rng.uniform(0, AT_MOST_S))
            run.kill()
            orphans, segments = orphans + len(run.orphans()), segments + len(run.segments())
            before = int(run.ticks()["tick"][-1]) + 1
            limit = [f"--max_ticks={before + LAST_TICKS}"] if number == figures.resumes else []
            run, one = resume(folder, rng, before, "--resume", *limit)
            found.append(one)
            say(f"  {number} of {figures.resumes}: {one}")
        run.wait(ENDING_S)
        summary = json.loads((folder / "summary.json").read_text())
        updates = records.read(folder).updates["applied_version"]
        faults = figures.faults(RESUMES, run, summary, orphans, segments)
    finally:
        run.kill()
    refused = sum(one.refused for one in found)
    return [
        figures.row(f"{RESUMES}: resumed", len(found) - refused),
        figures.row(f"{RESUMES}: refused", refused),
        figures.row(
            f"{RESUMES}: resumed from an older checkpoint than the newest", sum(one.covered > 0 for one in found)
        ),
        figures.row(f"{RESUMES}: resumed, and then made no checkpoint", sum(one.stuck for one in found)),
        *figures.median(f"{RESUMES}: ticks played anew", [one.anew for one in found]),
        *figures.median(f"{RESUMES}: of these, ticks that the newest checkpoint had", [one.covered for one in found]),
        figures.row(f"{RESUMES}: checkpoints left of what was played anew", sum(one.left for one in found)),
        *figures.median(f"{RESUMES}: from --resume to the first new tick", [one.start_s for one in found]),
        figures.row(f"{RESUMES}: updates without a record", records.missing_and_twice(updates)[0]),
        *faults,
    ]


def resume(
    folder: pathlib.Path, rng: np.random.Generator, before: int, *flags: str, **kwargs
) -> tuple[Run, Resumption]:
    """Cuts the records of a killed run and goes on with it, until there is a new checkpoint.

    Args: before: ticks it had. flags: for the `Run` that goes on.
    """
    newest = int(store.whole(folder)[-1].name) + 1
    lost = power.cut(folder, rng)
    began_ns, wall_s = time.monotonic_ns(), time.time()
    run = Run(folder, *flags)
    refused = not goes_on(run, began_ns)
    if refused:
        say(f"  refused: {run.said().strip()}")
        power.put_back(lost)
        began_ns, wall_s = time.monotonic_ns(), time.time()
        run = Run(folder, *flags)
        if not goes_on(run, began_ns):
            raise RuntimeError(f"a run whose records are whole was refused: {run.said().strip()}")
    ticks = run.ticks()
    first = ticks[ticks["boundary_ns"] > began_ns][0]

    def are_new() -> list[bool]:
        there = [path for path in store.whole(folder) if int(path.name) >= first["tick"]]
        return [(path / "manifest.json").stat().st_mtime > wall_s for path in there]

    try:
        run.wait_for(lambda: any(are_new()), "made no checkpoint")
        stuck = False
    except RuntimeError as error:
        say(f"  {error}")
        stuck = True
    return run, Resumption(
        refused=refused,
        anew=before - int(first["tick"]),
        covered=max(0, newest - int(first["tick"])),
        start_s=(int(first["boundary_ns"]) - began_ns) / 1e9,
        stuck=stuck,
        left=are_new().count(False),
    )


def goes_on(run: Run, began_ns: int) -> bool:
    """Whether it comes to a tick; False if it is refused. Raises RuntimeError if it fails in another way."""
    try:
        run.wait_for(lambda: (run.ticks()["boundary_ns"] > began_ns).any(), "did not go on")
    except RuntimeError:
        if run.exit_status() != BAD_INPUT:
            raise
        return False
    return True
