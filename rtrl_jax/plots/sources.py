"""What pictures are drawn from: run folders, alone or grouped over seeds, results of evaluations, and tables."""

import csv
import json
import pathlib
import zipfile
from typing import NamedTuple

import numpy as np

from rtrl_jax.board.records import completed
from rtrl_jax.errors import UserError

NOT_A_DIFFERENCE = ("seed", "run_dir", "video", "page", "page_host")  # between two runs of one group
NO_NAME = ("duration_s", "max_ticks", "max_episodes")  # for a group: how long it went on is not what it is


class Run(NamedTuple):
    folder: pathlib.Path
    ticks: dict[str, np.ndarray]
    decisions: dict[str, np.ndarray]
    summary: dict


class Group(NamedTuple):
    """Runs that differ by their seeds."""

    label: str
    runs: list[Run]
    name: str | None = None  # what its runs are called, where that matters more than what they have in common


def load(run_dir: str | pathlib.Path) -> Run:
    """A finished run. Raises UserError."""
    folder, tables = pathlib.Path(run_dir), {}
    for name in ("ticks", "decisions"):
        try:
            with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
                tables[name] = {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"{folder} holds no finished run: {name}.npz cannot be read ({error})") from None
    tables["decisions"] = completed(tables["decisions"])
    try:
        summary = json.loads((folder / "summary.json").read_text())
        summary["inference"]["emulated"], summary["rate_hz"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds no finished run: summary.json cannot be read ({error})") from None
    return Run(folder, tables["ticks"], tables["decisions"], summary)


def group(entries: list[str]) -> list[Group]:
    """Runs by what they are called.

    Args:
      entries: folders; `label=folder` begins a group that the folders after it belong to. Without any label, runs whose flags
        differ by nothing but the seed make a group, called by the flags in which groups differ, or by their folders.
    """
    labels, folders = [], []
    for entry in entries:
        label, equals, folder = entry.partition("=")
        labelled = equals and not pathlib.Path(entry).exists()
        labels.append(label if labelled else None)
        folders.append(folder if labelled else entry)
    if any(labels):
        if labels[0] is None:
            raise UserError(f"--runs={entries[0]},…: give the first group a label too, e.g. --runs=ours={entries[0]},…")
        groups: dict[str, list[Run]] = {}
        for label, folder in zip(labels, folders, strict=True):
            current = label if label is not None else current  # noqa: F821
            groups.setdefault(current, []).append(load(folder))
        return [Group(label, runs, label) for label, runs in groups.items()]
    return _by_flags([load(folder) for folder in folders])


def _by_flags(runs: list[Run]) -> list[Group]:
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        groups.setdefault(tuple(sorted(_flags(run.folder).items())), []).append(run)
    together = [dict(key) for key in groups]
    differing = [
        name for name in together[0] if name not in NO_NAME and len({str(one.get(name)) for one in together}) > 1
    ]
    flags = [", ".join(f"{name}={one.get(name, '')}" for name in differing) for one in together]
    names = [_name(same) for same in groups.values()]
    if len(groups) == 1:
        labels, flags = [runs[0].summary["environment"]], [""]
    else:
        labels = flags if len(set(flags)) == len(flags) else names
    return [
        Group(label, same, f"{name} ({what})" if what else name)
        for label, same, name, what in zip(labels, groups.values(), names, flags, strict=True)
    ]


def _name(runs: list[Run]) -> str:
    """What runs are called that differ by their seeds."""
    return runs[0].folder.name + (f" and {len(runs) - 1} more" if len(runs) > 1 else "")


def _flags(folder: pathlib.Path) -> dict[str, str]:
    try:
        lines = (folder / "flags.txt").read_text().splitlines()
    except OSError as error:
        raise UserError(f"{folder} holds no finished run: flags.txt cannot be read ({error})") from None
    given = (line.lstrip("# ").removeprefix("--").partition("=") for line in lines)
    return {name: value for name, _, value in given if name and name not in NOT_A_DIFFERENCE}


def policy(folder: pathlib.Path) -> str:
    """What acted in a run."""
    try:
        return _flags(folder).get("policy", "agent")
    except UserError:  # its summary.json has been copied elsewhere
        return "agent"


def read_table(path: pathlib.Path, columns: tuple[str, ...]) -> list[dict]:
    """Rows of a CSV file, numbers as numbers and what is empty as None. Raises UserError if a column is missing."""
    try:
        with open(path, newline="") as file:
            rows = [{name: _value(text) for name, text in row.items() if name} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error})") from None
    if not rows:
        raise UserError(f"{path} has no rows")
    missing = [name for name in columns if name not in rows[0]]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}: it has {', '.join(rows[0])}")
    return rows


def _value(text: str | None) -> float | str | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def read_json(path: pathlib.Path) -> dict:
    """Raises UserError."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error})") from None
