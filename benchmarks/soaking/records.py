"""What a run's records should be like: at their rate, without gaps, nothing twice."""

import itertools
import pathlib
from typing import NamedTuple

import numpy as np

from rtrl_jax.board.records import APPLIED


class Records(NamedTuple):
    """The arrays of a run that has ended."""

    ticks: np.lib.npyio.NpzFile
    decisions: np.lib.npyio.NpzFile
    updates: np.lib.npyio.NpzFile


def read(folder: pathlib.Path) -> Records:
    return Records(*(np.load(folder / f"{kind}.npz", allow_pickle=False) for kind in Records._fields))


def rate_errors(boundary_ns: np.ndarray, rate_hz: float, parts: int = 10) -> tuple[float, list[float]]:
    """In %: of the whole, and of each of so many parts. Args: boundary_ns: of the ticks of one session, in order."""

    def error(first: int, last: int) -> float:
        return float(100 * abs((last - first) * 1e9 / (boundary_ns[last] - boundary_ns[first]) / rate_hz - 1))

    edges = np.linspace(0, len(boundary_ns) - 1, parts + 1).astype(int)
    return error(0, len(boundary_ns) - 1), [error(*pair) for pair in itertools.pairwise(edges)]


def missing_and_twice(numbers: np.ndarray) -> tuple[int, int]:
    """Of 0, 1, 2, … up to the largest: how many are missing, and how many are there more than once."""
    if not len(numbers):
        return 0, 0
    there = len(np.unique(numbers))
    return int(numbers.max()) + 1 - there, len(numbers) - there


def unexplained(records: Records) -> int:
    """Ticks at which an agent's action acted and of whose decision there is no record."""
    acted = records.ticks["tick"][~records.ticks["is_default"]]
    return len(np.setdiff1d(acted, records.decisions["apply_tick"][records.decisions["status"] == APPLIED]))
