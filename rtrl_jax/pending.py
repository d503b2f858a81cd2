"""What an agent is told of its own actions, beside the observation: which, and in what form. No JAX: every process knows it.

`late`: the network's trunk begins with observation m, and its head, just before the decision acts at boundary n, is told the
actions of ticks m + 1 … n − 1. `history`: it is told what was known when the inference began, the actions of ticks up to m.
Of either only the newest `length`, none of before the episode, the newest last; `UNTOLD` fills the places before. β and
repeated actions count as the actions that they were. The tick of a reset has none.

With a reflex the head also sees observation n − 1, through a small convolution of its own: a deep trunk that is slow and a
shallow eye that is fast act as one agent.

Of actions that are vectors it is told the vectors; NaN fills the places before.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rtrl_jax.actions import NUMBER, Actions, Vector

KINDS = ("none", "history", "late")
ENCODINGS = ("onehot", "counts", "recurrent")
UNTOLD = -1  # in place of an action
DTYPE = np.dtype("int16")  # of actions that are told, where they are numbers


def told_layout(length: int, action: np.dtype = NUMBER) -> np.dtype:
    """Of so many actions that are told: int16 [length], or of vectors float32 [length, size]."""
    return np.dtype((np.float32, (length, *action.shape)) if action.shape else (DTYPE, (length,)))


class Pending(NamedTuple):
    """Plain values, known when a program is compiled."""

    kind: str = "none"
    length: int = 0  # most actions that are told
    encoding: str = "onehot"
    actions: Actions = 0  # that there are, with β if it is one of its own
    reflex: bool = False  # whether the head sees the newest observation as well

    @property
    def waits(self) -> bool:
        """Whether there is a head that is told what was not known yet when the trunk began."""
        return self.kind == "late"

    def span(self, obs_tick: int, newest: int, episode_start: int) -> tuple[int, int]:
        """The ticks, from the first to the last, whose actions are told.

        Args:
          obs_tick: that is decided from.
          newest: the last tick before the one that the decision acts in, or will if it is in time.
          episode_start: the tick of the reset.
        """
        first, last = (max(obs_tick, episode_start), newest) if self.waits else (episode_start, obs_tick)
        return max(first + 1, last + 1 - self.length), last

    def nothing(self, *rows: int) -> np.ndarray:
        """In place of what is told: [*rows, length] DTYPE, or of vectors [*rows, length, size] float32."""
        if isinstance(self.actions, Vector):
            return np.full((*rows, self.length, self.actions.size), np.nan, np.float32)
        return np.full((*rows, self.length), UNTOLD, DTYPE)

    def padded(self, actions: Sequence) -> np.ndarray:
        """[at most length] actions -> what is told, as `nothing()`."""
        told = self.nothing()
        if len(actions):
            told[-len(actions) :] = actions
        return told


class Seen(NamedTuple):
    """What an agent that is told something sees, in place of an observation alone. Shapes are those of a batch."""

    observation: Any  # [B, *observation shape], or of a head the trunk's features [B, units]
    told: Any  # [B, length] of DTYPE, or of vectors [B, length, size]
    newest: Any = None  # [B, *observation shape], the newest there is before the decision acts, if there is a reflex

    def arrays(self) -> tuple:
        """Those that there are."""
        return tuple(array for array in self if array is not None)


def parts(observation) -> tuple[Any, Seen | None]:
    """(the observation alone, all of what is seen or None). Args: observation: an array, or `Seen`."""
    return (observation.observation, observation) if isinstance(observation, Seen) else (observation, None)
