"""A grid of flags and a list of seeds, as text, and the cells and numbers that they name."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any, NamedTuple

from rtrl_jax.errors import UserError, nearest
from rtrl_jax.settings import Settings
from rtrl_jax.settings_fields import facts, plain_type

BASE = "base"  # the grid, and the cell, in which nothing differs
MOST_SEEDS, MOST_RUNS = 1000, 100_000
LONGEST_NAME = 150  # of a cell, in characters
FLAG = r"\s*(?:--)?(\w+)\s*="
VALUE = r"""\s*("[^"]*"|'[^']*'|[^,;"']*?)\s*"""
NOT_IN_A_GRID = {"seed": "give --seeds", "display": "it is the sweep's own"}
WORDS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class Cell(NamedTuple):
    """Runs that differ by nothing but the seed."""

    name: str  # for people and files: delay-4-interaction-async
    values: dict[str, Any]  # settings in which it differs from the flagfile


def cells(grids: Sequence[str]) -> list[Cell]:
    """The cells of one or more grids together, each once; the cell BASE alone if there is no grid.

    Args:
      grids: `flag=value,value;flag=value` each, which stands for all combinations, or BASE. A value that holds a comma or a
        semicolon is put in quotes.

    Raises:
      UserError: it cannot be read, or names a flag that there is not or that a sweep decides.
    """
    found: list[dict[str, Any]] = []
    for text in grids or [BASE]:
        axes = _axes(text)
        for values in itertools.product(*axes.values()):
            one = dict(zip(axes, values, strict=True))
            if one not in found:
                found.append(one)
        if len(found) > MOST_RUNS:
            raise UserError(f"--grid={text}: more than {MOST_RUNS:,} cells")
    return [Cell(name, values) for name, values in zip(_names(found), found, strict=True)]


def seeds(text: str) -> list[int]:
    """`0-4` or `0,1,7`. Raises UserError."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last - first >= MOST_SEEDS or last >= 2**32:
            raise UserError(f"--seeds={text}: give whole numbers and ranges, e.g. 0,1,2 or 0-4")
        found += range(first, last + 1)
    for seed in found:
        if found.count(seed) > 1:
            raise UserError(f"--seeds={text}: seed {seed} is there twice")
    if len(found) > MOST_SEEDS:
        raise UserError(f"--seeds={text}: at most {MOST_SEEDS} seeds")
    return found


def check_common(given: dict[str, Any]) -> None:
    """Raises UserError if a setting that all runs are to have in common is one run's alone."""
    for item in fields(Settings):
        if given[item.name] != item.default and (facts(item).once or item.name == "seed"):
            where = {"run_dir": "say where runs go with --out", "seed": "give --seeds"}
            raise UserError(f"--{item.name} is of one run alone: {where.get(item.name, 'leave it out')}")


def _axes(text: str) -> dict[str, list]:
    """Flag -> its values."""
    if text.strip() == BASE:
        return {}
    known = {item.name: item for item in fields(Settings)}
    axes: dict[str, list] = {}
    at = 0
    while at <= len(text):
        flag = re.compile(FLAG).match(text, at)
        if not flag:
            raise UserError(f"--grid={text}: write flag=value,value;flag=value, or {BASE} for the flagfile as it is")
        name, at = flag[1], flag.end()
        _check_flag(text, name, known)
        if name in axes:
            raise UserError(f"--grid={text}: --{name} is there twice")
        axes[name] = []
        end = ","
        while end == ",":
            value = re.compile(VALUE + "(,|;|$)").match(text, at)
            if not value:
                raise UserError(f"--grid={text}: {text[at:]!r} cannot be read; put a value with , or ; in quotes")
            found, end, at = _unquoted(value[1]), value[2], value.end()
            if not found:
                raise UserError(f"--grid={text}: --{name} has an empty value")
            axes[name].append(_typed(known[name], found))
        if len({repr(one) for one in axes[name]}) < len(axes[name]):
            raise UserError(f"--grid={text}: --{name} has a value twice")
        if not end:
            break
    return axes


def _check_flag(text: str, name: str, known: dict[str, Field]) -> None:
    if name not in known:
        raise UserError(f"--grid={text}: a run has no flag --{name}{nearest(name, list(known))}")
    if name in NOT_IN_A_GRID or facts(known[name]).once:
        raise UserError(f"--grid={text}: not --{name}: {NOT_IN_A_GRID.get(name, 'it is of one run alone')}")


def _unquoted(text: str) -> str:
    return text[1:-1] if text[:1] in ("'", '"') else text


def _typed(item: Field, text: str):
    """As the setting's type has it; text that is none of it stays what it is, for `Settings.check` to name."""
    kind = plain_type(item.type)
    try:
        return WORDS.get(text.lower(), text) if kind is bool else kind(text)
    except ValueError:
        return text


def _names(found: list[dict[str, Any]]) -> list[str]:
    """A name for each cell that is a file's name too."""
    names: list[str] = []
    for values in found:
        name = "-".join(f"{flag}-{_plain(value)}" for flag, value in values.items()) or BASE
        name = name[:LONGEST_NAME]
        names.append(name if name not in names else f"{name}-cell{len(names)}")
    return names


def _plain(value) -> str:
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^\w.+]+", "-", text).strip("-")
