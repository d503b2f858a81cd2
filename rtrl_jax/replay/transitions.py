"""From the record of ticks to the transitions of the delayed semi-MDP (paper Definition 1).

Applied decisions i at boundaries n_i were computed from observations m_i. Transition i runs from observation m_i to
observation m_(i+1), with the rewards of ticks n_i … n_(i+1) − 1.
"""

from typing import NamedTuple


class Transition(NamedTuple):
    obs_tick: int  # m_i
    next_tick: int  # m_(i+1); the episode's last observation where it was truncated
    episode_start: int
    action: int
    reward: float
    discount: float  # 0 where the episode terminated


class TransitionBuilder:
    """Turns ticks, one after another, into transitions. None spans two episodes."""

    def __init__(self, gamma: float, per_tick: bool = False, n: int = 1, undelayed_next: bool = False):
        """Args:
        gamma: discount per decision, or per tick if `per_tick`.
        undelayed_next: the paper's code's accounting: S' is the newest observation when the next action begins,
          not the older one that action was decided from.
        """
        self._gamma, self._per_tick, self._undelayed_next = gamma, per_tick, undelayed_next
        self._open = None  # record of the tick whose decision is in force
        self._since = 0
        self._reward = 0.0

    def feed(self, tick: int, record) -> list[Transition]:
        """Args: record: the TICK record of tick number `tick`. Returns the transitions it completes, at most two."""
        done = []
        if not record["is_default"]:
            if self._open is not None:
                next_tick = tick - 1 if self._undelayed_next else int(record["obs_tick"])
                done.append(self._close(next_tick, tick - self._since))
            self._open, self._since, self._reward = record, tick, 0.0
        self._reward += float(record["reward"])
        if record["terminated"] or record["truncated"]:
            if self._open is not None:
                done.append(self._close(tick, tick + 1 - self._since, terminal=bool(record["terminated"])))
            self._open = None
        return done

    def forget(self) -> None:
        """Ticks are missing before the next one: what was open is lost."""
        self._open = None

    def _close(self, next_tick: int, ticks: int, terminal: bool = False) -> Transition:
        began = self._open
        discount = 0.0 if terminal else self._gamma ** (ticks if self._per_tick else 1)
        return Transition(
            int(began["obs_tick"]), next_tick, int(began["episode_start"]), int(began["action"]), self._reward, discount
        )
