"""A study's table, kept row by row: a study that is cut off goes on with the rows that it lacks."""

import csv
import io
import pathlib
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rtrl_jax.errors import UserError
from rtrl_jax.telemetry import files

WRITE_EVERY_S = 5.0
COSTS = "costs.csv"


class Task(NamedTuple):
    """A row that is to be found."""

    key: tuple  # the row's first values, by which it is known
    find: Callable[[], Any]  # -> the row, a NamedTuple


def complete(
    path: pathlib.Path,
    kind: type,
    tasks: list[Task],
    say: Callable[[str], None] = lambda text: None,
    only: bool = False,
) -> None:
    """Does the tasks whose rows are not in the table at `path` yet, and writes it every few seconds, in the order of the tasks.

    Args:
      kind: the NamedTuple of the rows; its `KEY` is how many of its values a row is known by.
      only: rows that are none of these tasks' are dropped; otherwise they stay, after the others.

    Raises:
      UserError: the table has other columns.
    """
    there = _read(path, kind) if path.exists() else {}
    order = {_key(task): number for number, task in enumerate(tasks)}
    found = {key: there.pop(key) for key in order if key in there}
    rest = [] if only else list(there.values())
    began, written = time.process_time(), time.monotonic()

    def write() -> None:
        nonlocal began, written
        files.write_text(path, as_csv(kind._fields, [found[key] for key in sorted(found, key=order.get)] + rest))
        spent, began, written = time.process_time() - began, time.process_time(), time.monotonic()
        _charge(path, spent)

    try:
        for task in tasks:
            if (key := _key(task)) not in found:
                say(f"{path.name}: {len(found) + 1} of {len(tasks)}, {', '.join(key)}")
                found[key] = tuple(map(_text, task.find()))
                if time.monotonic() - written > WRITE_EVERY_S:
                    write()
    finally:  # interrupted too
        write()


def _charge(path: pathlib.Path, seconds: float) -> None:
    """Adds to what the table has cost so far, in seconds of a core: `COSTS` beside it."""
    costs = path.with_name(COSTS)
    spent = dict(list(csv.reader(costs.read_text().splitlines()))[1:]) if costs.exists() else {}
    spent[path.stem] = f"{float(spent.get(path.stem, 0)) + seconds:.0f}"
    files.write_text(costs, as_csv(("table", "core_seconds"), sorted(spent.items())))


def as_csv(columns: Iterable[str], rows: Iterable[tuple]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(value) for value in row] for row in rows)
    return text.getvalue()


def _key(task: Task) -> tuple:
    return tuple(map(_text, task.key))


def _text(value) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _read(path: pathlib.Path, kind: type) -> dict[tuple, tuple]:
    with open(path, newline="") as file:
        columns, *rows = csv.reader(file)
    if columns != list(kind._fields):
        raise UserError(f"{path} has other columns than this study's table: name another folder")
    return {tuple(row[: kind.KEY]): tuple(row) for row in rows}
