"""From acts to the transitions of the delayed semi-MDP (paper Definition 1), over n decisions.

Act i was decided from observation m_i; see `acts`. Transition i runs from observation m_i to observation m_(i+n). Its reward
is the sum of R_(i+j), j < n, discounted to n_i, where R_i is that of act i's own span. None spans two episodes: at the end of one
all that are open are closed.
"""

from typing import NamedTuple

import numpy as np

from rtrl_jax.board.records import GOES_ON, TERMINATED


class Horizon(NamedTuple):
    """How far a transition reaches, and how it discounts."""

    gamma: float
    per_tick: bool = False  # the discount is counted by ticks, else by decisions
    n: int = 1  # decisions in a transition
    through_done: bool = False  # whether what has terminated is bootstrapped from as well: as the paper's code has it
    one_step: bool = False  # whether what has come by the next decision is wanted too

    @property
    def within_span(self) -> float:
        """The discount for each tick within a span, of whose rewards the environment's process makes the sum."""
        return self.gamma if self.per_tick else 1.0


class Outlook(NamedTuple):
    """What comes of some acts, arrays [B]."""

    reward: np.ndarray  # float32
    discount: np.ndarray  # float32, of the value of the observation that is led to; 0 where the episode terminated
    last: np.ndarray  # int, which of the n acts leads there


def outlook(acts: np.ndarray, horizon: Horizon) -> Outlook:
    """Args: acts: [B, n] of `act_dtype`, each with those after it; what comes after an episode's last is not looked at."""
    ended = acts["ended"] != GOES_ON
    count = np.where(ended.any(axis=1), ended.argmax(axis=1) + 1, horizon.n)
    every, last = np.arange(len(acts)), count - 1
    began = acts["apply_tick"][:, 0]

    def discount(until, decisions):
        return horizon.gamma ** ((until - began) if horizon.per_tick else decisions)

    reward = np.zeros(len(acts))
    for j in range(horizon.n):
        at = np.minimum(j, last)
        factor = discount(acts["apply_tick"][every, at], np.full(len(acts), j))
        reward += np.where(j < count, factor * acts["reward"][every, at], 0.0)
    final = acts[every, last]
    after = discount(final["apply_tick"] + final["ticks"], count).astype(np.float32)
    if not horizon.through_done:
        after[final["ended"] == TERMINATED] = 0
    return Outlook(reward.astype(np.float32), after, last)
