"""From Gymnasium's spaces of actions to ours, and an action back."""

from collections.abc import Callable

import numpy as np
from gymnasium import spaces

from rtrl_jax.actions import MOST_NUMBERS, Actions, Vector


def of(space: spaces.Space) -> Actions:
    """What `Spec.actions` says of it. Raises ValueError, with what to do, if its actions cannot be carried."""
    if isinstance(space, spaces.Discrete):
        return int(space.n)
    if isinstance(space, spaces.MultiDiscrete):
        low, high, whole = space.start, space.start + space.nvec - 1, True
    elif isinstance(space, spaces.MultiBinary):
        low, high, whole = np.zeros(space.shape), np.ones(space.shape), True
    elif isinstance(space, spaces.Box):
        low, high, whole = space.low, space.high, not np.issubdtype(space.dtype, np.floating)
    else:
        raise ValueError(
            f"its actions ({type(space).__name__}) cannot be carried: Discrete, Box, MultiDiscrete and MultiBinary can; wrap it "
            "so that it takes one of those, with gymnasium.wrappers.TransformAction"
        )
    low, high = (tuple(map(float, np.ravel(bound))) for bound in (low, high))
    if not 1 <= len(low) <= MOST_NUMBERS:
        raise ValueError(f"its actions have {len(low)} numbers: from 1 to {MOST_NUMBERS} can be carried")
    for place, (least, most) in enumerate(zip(low, high, strict=True)):
        if not -_LARGEST <= least <= most <= _LARGEST:  # nor is NaN
            raise ValueError(
                f"number {place} of its actions lies between {least:g} and {most:g}: bounds must be finite: give it an "
                "action_space that has some, with gymnasium.wrappers.TransformAction"
            )
    return Vector(low, high, whole)


_LARGEST = 1e9  # within which float32 has room for what is between


def nothing(actions: Actions):
    """β unless something else is asked for: 0; of a vector 0 where that lies in its bounds, else the middle."""
    if not isinstance(actions, Vector):
        return 0
    middles = [
        low + (high - low) // 2 if actions.whole else (low + high) / 2 for low, high in zip(*actions[:2], strict=True)
    ]
    kind = int if actions.whole else float
    return tuple(
        kind(0 if low <= 0 <= high else middle) for low, high, middle in zip(*actions[:2], middles, strict=True)
    )


def converter(space: spaces.Space) -> Callable:
    """A function from an action as we have it to one as its environment takes it."""
    if isinstance(space, spaces.Discrete):
        first = int(space.start)
        return lambda action: action + first
    shape, dtype = space.shape, space.dtype
    low, high = (None, None) if not isinstance(space, spaces.Box) else (space.low, space.high)

    def as_it_takes_them(action):
        found = np.asarray(action, dtype).reshape(shape)  # a copy of its own: it may keep it
        return found.copy() if low is None else np.clip(found, low, high)

    return as_it_takes_them
