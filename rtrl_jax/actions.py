"""What actions are: whole numbers, where a world has a list of them; else vectors, of numbers within bounds.

`Spec.actions` says which: how many there are, or a `Vector`. On the board, in records and in the replay one of the first kind is
an int32, one of the second a sub-array. In the loops they are an `int` and an array.
"""

import math
from typing import NamedTuple

import numpy as np

NUMBER = np.dtype(np.int32)  # the layout of a discrete action
MOST_NUMBERS = 4096  # in a vector
MOST_SAID = 4  # of them, to people
MOST_COMBINATIONS = 4096  # of whole numbers, for an agent that has a value for each


class Vector(NamedTuple):
    """Actions of several numbers, each within its bounds. Those of arrays with more axes lie in it as they lie in memory."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    whole: bool = False  # whether they are whole numbers, a choice each (Gymnasium's MultiDiscrete)

    @property
    def size(self) -> int:
        """How many numbers an action has."""
        return len(self.low)

    @property
    def layout(self) -> np.dtype:
        """Of an action in a record."""
        return np.dtype((np.int32 if self.whole else np.float32, (self.size,)))

    @property
    def choices(self) -> tuple[int, ...]:
        """How many values each of the numbers has, if they are whole."""
        return tuple(int(high - low) + 1 for low, high in zip(self.low, self.high, strict=True))

    def holds(self, action) -> bool:
        """Whether it is one of these actions, as far as its numbers go. Args: action: [size]."""
        kind = np.float64 if self.whole else np.float32  # 0.7 lies within a bound of 0.7 in single precision
        found, low, high = (np.asarray(numbers, kind) for numbers in (action, self.low, self.high))
        inside = found.shape == low.shape and np.all((found >= low) & (found <= high))
        return bool(inside) and (not self.whole or bool(np.all(found == np.round(found))))


Actions = int | Vector


def from_plain(found) -> Actions:
    """What JSON has made lists or tuples of."""
    return found if isinstance(found, int) else Vector(tuple(found[0]), tuple(found[1]), found[2])


def layout(actions: Actions) -> np.dtype:
    """Of one action in a record: int32, or float32 or int32 [size]."""
    return actions.layout if isinstance(actions, Vector) else NUMBER


def combinations(actions: Actions) -> int:
    """How many different actions there are, which must be discrete or vectors of whole numbers."""
    return math.prod(actions.choices) if isinstance(actions, Vector) else actions


def draw(actions: Actions, rng: np.random.Generator):
    """One of them, uniformly."""
    if not isinstance(actions, Vector):
        return int(rng.integers(actions))
    if actions.whole:
        return (rng.integers(actions.choices) + np.array(actions.low, int)).astype(np.int32)
    return rng.uniform(actions.low, actions.high).astype(np.float32)


def value(action):
    """An action of a record, or of a network, as the loops have it: a whole number, or a copy of its array [size]."""
    return int(action) if np.ndim(action) == 0 else np.array(action)


def plain(action):
    """The same for JSON: a whole number, or a list."""
    return int(action) if np.ndim(action) == 0 else np.asarray(action).tolist()


def same(action, other) -> bool:
    """Whether two actions are alike."""
    return bool(np.all(np.asarray(action, np.float32) == np.asarray(other, np.float32)))


def words(actions: Actions) -> str:
    """How many there are, or what they are made of."""
    if not isinstance(actions, Vector):
        return f"{actions} actions"
    kind = "whole" if actions.whole else "real"
    bounds = [f"{low:g} to {high:g}" for low, high in zip(*actions[:2], strict=True)]
    if actions.size > 1 and len(set(bounds)) == 1:
        bounds = [f"{bounds[0]} each"]
    return f"actions of {actions.size} {kind} number{'s' * (actions.size > 1)} ({', '.join(bounds)})"


def text(action, names: tuple[str, ...] = ()) -> str:
    """For people: its name, its number, or its numbers. Args: names: of discrete ones; none if they are only numbered."""
    if np.ndim(action) == 0:
        return names[action] if action < len(names) else str(int(action))
    numbers = np.asarray(action).tolist()
    return " ".join([f"{number:.2g}" for number in numbers[:MOST_SAID]] + ["…"] * (len(numbers) > MOST_SAID))
