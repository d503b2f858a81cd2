"""Where the parts of a sweep lie in its folder, and what has become of each run, which is read off them and kept nowhere else."""

import json
import os
import pathlib
import shutil
from typing import NamedTuple

from rtrl_jax.core.folder import make
from rtrl_jax.errors import UserError
from rtrl_jax.telemetry.files import write_text
from rtrl_jax.telemetry.summary import ITS_LIMITS

FILE = "sweep.json"  # what says that a folder is a sweep's
WAITING, UNFINISHED, FINISHED, FAILED = "waiting", "unfinished", "finished", "failed"


class Place(NamedTuple):
    """Of one run."""

    run: pathlib.Path  # its run folder
    evaluation: pathlib.Path
    log: pathlib.Path  # what its process printed
    failure: pathlib.Path  # a line that says why it failed

    def summary(self) -> dict | None:
        """The run's summary.json."""
        return _read(self.run / "summary.json")

    def scores(self) -> dict | None:
        """The row of the evaluation's summary.json, once all episodes have been played."""
        found = _read(self.evaluation / "summary.json")
        return found["rows"][0] if found and found.get("complete") and found.get("rows") else None

    def is_over(self) -> bool:
        """Whether the run has reached its limits."""
        return (self.summary() or {}).get("ended_by") == ITS_LIMITS

    def state(self, is_evaluated: bool) -> str:
        """Args: is_evaluated: whether an evaluation belongs to it."""
        if self.failure.exists():
            return FAILED
        if self.is_over() and (self.scores() or not is_evaluated):
            return FINISHED
        return UNFINISHED if self.run.is_dir() and os.listdir(self.run) else WAITING

    def reason(self) -> str:
        """Why it failed; "" if it did not."""
        try:
            return self.failure.read_text().strip()
        except OSError:
            return ""

    def fail(self, reason: str) -> None:
        write_text(self.failure, f"{reason}\n")


def of(out: pathlib.Path, name: str) -> Place:
    return Place(
        out / "runs" / name, out / "evaluations" / name, out / "logs" / f"{name}.log", out / "failures" / f"{name}.txt"
    )


def make_folders(out: pathlib.Path) -> None:
    """Raises UserError if the system will not."""
    for path in of(out, "_"):
        make(path.parent, flag="--out")


def name_of(cell: str, seed: int) -> str:
    """What the run of a cell with a seed is called."""
    return f"{cell}-seed{seed}"


class _Sweep(NamedTuple):
    """One that an entry names."""

    label: str  # given with it, or ""
    folder: pathlib.Path
    cells: dict[str, dict]  # by name, the settings in which each differs
    seeds: list[int]

    def finished(self, cell: str) -> list[str]:
        """Run folders."""
        places = (of(self.folder, name_of(cell, seed)) for seed in self.seeds)
        return [str(here.run) for here in places if here.is_over()]


def _sweep(entry: str) -> _Sweep | None:
    """What a folder, or label=folder, holds. Raises UserError if it is another version's."""
    label, _, name = ("", "", entry) if os.path.exists(entry) else entry.rpartition("=")
    folder = pathlib.Path(name)
    found = _read(folder / FILE) if name else None
    if found is None:
        return None
    try:
        return _Sweep(label, folder, {cell: dict(values) for cell, values in found["cells"].items()}, found["seeds"])
    except (KeyError, AttributeError, TypeError, ValueError):
        raise UserError(f"{folder / FILE} is of an unknown format: name the folders of runs") from None


def expanded(entries: list[str], labelled: bool) -> list[str]:
    """Run folders, with the finished runs of a sweep in the place of its folder.

    Args:
      entries: folders, or label=folder.
      labelled: whether each cell becomes a group, as `plots.sources.group` has them.

    Raises UserError if no run of a sweep is finished, or it is not said what comes after one.
    """
    found, after_sweep = [], False
    for entry in entries:
        sweep = _sweep(entry)
        if sweep is None:
            if labelled and after_sweep and (os.path.exists(entry) or "=" not in entry):
                raise UserError(f"--runs=…,{entry}: give what comes after a sweep a label, e.g. other={entry}")
            after_sweep = False
            found.append(entry)
            continue
        runs, after_sweep = [], True
        is_one = len(sweep.cells) == 1
        label = sweep.label or (sweep.folder.name if is_one or len(entries) > 1 else "")
        for cell in sweep.cells:
            mine = sweep.finished(cell)
            group = " ".join(part for part in (label, "" if is_one else cell) if part)
            runs += [f"{group}={run}" if labelled and run == mine[0] else run for run in mine]
        if not runs:
            raise UserError(f"{sweep.folder} is a sweep's, and none of its runs is finished")
        found += runs
    return found


def series(entries: list[str], left_out: tuple[str, ...]) -> dict[str, str]:
    """{run folder: its cell in words}, of the finished runs of the sweeps among them. Args: left_out: flags not to name."""
    found = {}
    for sweep in filter(None, map(_sweep, entries)):
        for cell, values in sweep.cells.items():
            words = [f"{flag}={value}" for flag, value in values.items() if flag not in left_out]
            found |= dict.fromkeys(sweep.finished(cell), ", ".join(filter(None, (sweep.label, *words))))
    return found


def clear(folder: pathlib.Path) -> None:
    """Removes a folder. Renamed first: what is half deleted must not look like a run that can be gone on with."""
    gone = folder.with_name(folder.name + ".partial")
    shutil.rmtree(gone, ignore_errors=True)
    if folder.exists():
        folder.rename(gone)
        shutil.rmtree(gone)


def _read(path: pathlib.Path) -> dict | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
