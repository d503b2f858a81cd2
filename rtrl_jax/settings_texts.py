"""What the text of a setting stands for: each function parses one kind, or raises UserError.

`settings.py` names them as its settings' parsers, and its properties give what they return.
"""

import math
import os
import re

from rtrl_jax import latency
from rtrl_jax.errors import UserError

MOST_CORES = 4096

# What the paper's released code does otherwise, each to be had alone; docs/semantics.md says what each is.
DEPARTURES = ("period", "lag", "zero_frames", "next_obs", "units", "bootstrap")


def inference_times(text, flag: str) -> None:
    latency.parse(str(text), flag)


def virtual_times(text, flag: str) -> None:
    latency.check_virtual(str(text), flag)


def schedule(text, flag: str) -> None:
    if not re.fullmatch(r"asynchronous|every:[1-9]\d{0,8}", str(text)):
        raise UserError(f"--{flag}={text}: asynchronous, or every:N with N from 1 on")


def departures(text, flag: str) -> frozenset[str]:
    """Of the paper's released code from what this one does."""
    named = {"ours": (), "reference": DEPARTURES}.get(str(text), str(text).split(","))
    if unknown := [name for name in named if name not in DEPARTURES]:
        raise UserError(f"--{flag}={text}: there is no {unknown[0]!r}; give {departures.range}")
    return frozenset(named)


departures.range = f"ours, reference, or some of {','.join(DEPARTURES)}"


def image_size(text, flag: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", str(text))
    if not found:
        raise UserError(f"--{flag}={text}: give rows and columns from 1 on, e.g. 64 or 48x64")
    return int(found[1]), int(found[2] or found[1])


def cores(text, flag: str) -> list[int]:
    allowed = sorted(os.sched_getaffinity(0))
    try:
        chosen: list[int] = []
        for part in str(text).split(","):
            first, dash, last = part.partition("-")
            numbers = range(int(first), int(last if dash else first) + 1)
            if not numbers:
                raise ValueError
            chosen += numbers[: MOST_CORES + 1]
    except ValueError:
        raise UserError(f"--{flag}={text}: give numbers and ranges, e.g. 0,1 or 0-3") from None
    missing = [core for core in chosen if core not in allowed]
    if missing:
        raise UserError(f"--{flag}={text}: there is no core {missing[0]} here; there are {_ranges(allowed)}")
    return list(dict.fromkeys(chosen))


def _ranges(numbers: list[int]) -> str:
    return f"{numbers[0]}-{numbers[-1]}" if numbers == list(range(numbers[0], numbers[-1] + 1)) else str(numbers)[1:-1]


def stated_action(text, flag: str) -> tuple[float, ...] | None:
    """The numbers of an action, if it is one. Raises UserError."""
    if text in ("noop", "repeat"):
        return None
    try:
        values = tuple(float(part) for part in str(text).split(","))
        if not all(map(math.isfinite, values)):
            raise ValueError
    except ValueError:
        raise UserError(f"--{flag}={text}: give {stated_action.range}") from None
    return values


stated_action.range = "noop, repeat, or the numbers of an action, e.g. 0,0.5"
