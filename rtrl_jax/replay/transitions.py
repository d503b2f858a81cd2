"""From the record of ticks to the transitions of the delayed semi-MDP (paper Definition 1), over n decisions.

Applied decisions i at boundaries n_i were computed from observations m_i. Transition i runs from observation m_i to
observation m_(i+n). Its reward is the sum of R_(i+j), j < n, discounted to n_i, where R_i is the plain sum of the rewards of
ticks n_i … n_(i+1) − 1. None spans two episodes: at the end of one all that are open are closed.
"""

import numpy as np

from rtrl_jax.board.records import TICK

TRANSITION = np.dtype(
    [
        ("obs_tick", "i8"),  # m_i
        ("next_tick", "i8"),  # m_(i+n); the episode's last observation where it ended before
        ("episode_start", "i8"),
        ("action", "i4"),
        ("reward", "f4"),
        ("discount", "f4"),  # of the value of the observation at next_tick; 0 where the episode terminated
        ("apply_tick", "i8"),  # n_i; no two transitions have the same
    ]
)


CLIPPINGS = {"none": None, "sign": np.sign, "unit": lambda reward: np.clip(reward, -1, 1)}


class TransitionBuilder:
    """Turns ticks, in portions one after another, into transitions in the order of their decisions."""

    def __init__(
        self, gamma: float, per_tick: bool = False, n: int = 1, undelayed_next: bool = False, clipping: str = "none"
    ):
        """Args:
        gamma: discount per decision, or per tick if `per_tick`.
        n: decisions in a transition.
        undelayed_next: the paper's code's accounting: S' is the newest observation when the next action begins,
          not the older one that action was decided from.
        clipping: of `CLIPPINGS`, what is learned from each tick's reward; the records keep what was earned.
        """
        self._gamma, self._per_tick, self._n = gamma, per_tick, n
        self._undelayed_next, self._clip = undelayed_next, CLIPPINGS[clipping]
        self.forget()

    def forget(self) -> None:
        """Ticks are missing before the next one: what was open is lost."""
        self._open = np.empty(0, TICK)  # decisions whose transitions are open, each with its span's rewards so far

    def feed(self, records: np.ndarray) -> np.ndarray:
        """Args: records: TICK [ticks], the next ones. Returns TRANSITION [those that they complete]."""
        if self._clip:
            records = records.copy()
            records["reward"] = self._clip(records["reward"])
        rows = np.concatenate([self._open, records])
        decided, ended = ~rows["is_default"], np.flatnonzero(rows["terminated"] | rows["truncated"])
        place = np.flatnonzero(decided)  # of each decision in `rows`
        end = np.append(ended, len(rows))[np.searchsorted(ended, place)]  # of its episode; len(rows): not there yet

        # The plain sum of each decision's own span. Added one by one: portions make no difference, not even of rounding.
        owner = np.cumsum(decided) - 1
        owned = np.flatnonzero(owner >= 0)
        owned = owned[owned <= end[owner[owned]]]
        span = np.bincount(owner[owned], rows["reward"][owned], minlength=len(place))

        number, behind = np.arange(len(place)), np.searchsorted(place, end, side="right")  # `behind` its episode's last
        whole = number + self._n < behind
        done = int((whole | (end < len(rows))).sum())  # they come first: what began earlier is closed no later
        self._open = rows[place[done:]]
        self._open["reward"] = span[done:]

        number, behind, whole, end = number[:done], behind[:done], whole[:done], end[:done]
        began = rows[place[:done]]
        count = np.minimum(behind - number, self._n)
        following = rows[place[np.where(whole, number + self._n, 0)]]
        last = rows[np.where(whole, 0, end)]

        def discount(until, decisions):
            return self._gamma ** ((until - began["tick"]) if self._per_tick else decisions)

        reward = np.zeros(done)
        for j in range(self._n):
            other = np.minimum(number + j, behind - 1)
            factor = discount(rows["tick"][place[other]], np.full(done, j))
            reward += np.where(j < count, factor * span[other], 0.0)

        found = np.empty(done, TRANSITION)
        for name in ("obs_tick", "episode_start", "action"):
            found[name] = began[name]
        next_tick = following["tick"] - 1 if self._undelayed_next else following["obs_tick"]
        found["next_tick"] = np.where(whole, next_tick, last["tick"])
        found["reward"], found["apply_tick"] = reward, began["tick"]
        found["discount"] = discount(np.where(whole, following["tick"], last["tick"] + 1), count)
        found["discount"][~whole & last["terminated"]] = 0
        return found
