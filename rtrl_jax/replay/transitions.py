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
    final: np.ndarray  # of `act_dtype`, the last of the acts, which leads there


def outlook(acts: np.ndarray, horizon: Horizon) -> Outlook:
    """Args: acts: [B, n] of `act_dtype`, each with those after it; what comes after an episode's last is not looked at."""
    reward, count, final = _one(acts[:, 0]) if horizon.n == 1 else _several(acts, horizon)
    until = final["apply_tick"] + final["ticks"] - acts["apply_tick"][:, 0]
    discount = (horizon.gamma ** (until if horizon.per_tick else count)).astype(np.float32)
    if not horizon.through_done:
        discount[final["ended"] == TERMINATED] = 0
    return Outlook(reward.astype(np.float32), discount, final)


def _one(acts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return acts["reward"], np.ones(len(acts)), acts


def _several(acts: np.ndarray, horizon: Horizon) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sum of the rewards, discounted [B], how many acts have come to it [B], the last of them [B])."""
    ended = acts["ended"] != GOES_ON
    count = np.where(ended.any(axis=1), ended.argmax(axis=1) + 1, horizon.n)
    every, last, reward = np.arange(len(acts)), count - 1, np.zeros(len(acts))
    for j in range(horizon.n):
        one = acts[every, np.minimum(j, last)]
        passed = one["apply_tick"] - acts["apply_tick"][:, 0] if horizon.per_tick else np.full(len(acts), j)
        reward += np.where(j < count, horizon.gamma**passed * one["reward"], 0.0)
    return reward, count, acts[every, last]
