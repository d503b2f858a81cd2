"""What a worker's loop can wait for. It yields one of these and is resumed when the time has passed.

All instants are nanoseconds of CLOCK_MONOTONIC (or of a simulated clock). `Infer`, `Learn` and `Apply` are answered with a
`Timed`, all others with the present instant.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class NextBoundary(NamedTuple):
    """Wait for this instant as exactly as the machine can."""

    due_ns: int


class Sleep(NamedTuple):
    """Wait until this instant; a few dozen microseconds more do not matter."""

    until_ns: int


class WaitBell(NamedTuple):
    """Wait until the environment rings this process, or until this instant. May return early: look again."""

    until_ns: int


WHOLE, TRUNK, HEAD = "whole", "trunk", "head"  # parts of an inference


class Infer(NamedTuple):
    """Compute a decision. The result has an attribute `greedy`: whether the network was needed.

    With a late head it is computed in two parts; what the head takes is part of what the inference takes.
    """

    compute: Callable[[], Any]
    part: str = WHOLE


class Learn(NamedTuple):
    """Compute a gradient (the sequential agent: and apply it)."""

    compute: Callable[[], Any]


class Apply(NamedTuple):
    """Commit an update whose gradient has been computed."""

    compute: Callable[[], Any]


class Timed(NamedTuple):
    """The result of a computation and the instants between which it ran."""

    value: Any
    start_ns: int
    end_ns: int
