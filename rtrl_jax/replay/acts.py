"""From ticks to acts, one tick after another: the environment's side of the delayed semi-MDP (paper Definition 1).

Decisions that act at boundaries n_i were decided from observations m_i. Act i spans ticks n_i … n_(i+1) − 1 and is complete
when the next decision acts, or earlier when its episode ends. It leads to m_(i+1), or to the episode's last observation.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rtrl_jax.board.records import GOES_ON, TERMINATED, TRUNCATED
from rtrl_jax.board.ring import ZERO_FRAME, Stacking, stacked_ticks
from rtrl_jax.pending import Pending

KEPT_ALREADY = -1  # as the oldest number that may be named: any
MOST_KEPT_BYTES = 1 << 18  # of the actions looked back on, in a checkpoint
# Ticks at most from where a decision acts to its observation, of those that are told what came before that.
LOOKED_BACK = 8192


CLIPPINGS = {
    "none": lambda reward: reward,
    "sign": lambda reward: float((reward > 0) - (reward < 0)),
    "unit": lambda reward: max(-1.0, min(1.0, reward)),
    "gains": lambda reward: max(0.0, reward),
}


class Accounting(NamedTuple):
    """What is made of a span."""

    discount: float = 1.0  # for each tick within it; 1 where the discount is counted by decisions
    undelayed_next: bool = False
    """An act leads to the newest observation when the next one begins, not to the older one that one was decided from: as the
    paper's code has it."""
    clipping: str = "none"  # of `CLIPPINGS`, what is learned of each tick's reward; the records keep what was earned


class Span(NamedTuple):
    """An act that is not complete."""

    apply_tick: int
    obs_tick: int
    episode_start: int
    action: Any
    frames: list[int]  # numbers of kept frames
    reward: float = 0.0
    ticks: int = 0
    told: list = []  # actions, with what fills the places before them  # noqa: RUF012
    newest: list[int] = []  # of a reflex: numbers of kept frames, of the observation before it acted  # noqa: RUF012


class ActBuilder:
    """A state machine: takes ticks in, gives rows of `act_dtype` out as they become complete, as tuples."""

    def __init__(
        self,
        keep: Callable[[list[int], int], list[int] | None],
        stacking: Stacking = Stacking(),  # noqa: B008
        accounting: Accounting = Accounting(),  # noqa: B008
        pending: Pending = Pending(),  # noqa: B008
    ):
        """Args:
        keep: (ticks [depth], oldest) -> numbers [depth] of their observations among the kept frames, none of them less than
          `oldest`; None if one of the observations is gone.
        pending: what the agent is told. Of a decision it is what was in force until it acted, whether or not it came in time
          to be told all of that: so what is learned is what its action was worth there.
        """
        self._keep, self._stacking, self._accounting, self._pending = keep, stacking, accounting, pending
        self._recent: deque = deque(maxlen=pending.length + (0 if pending.waits else LOOKED_BACK))
        self._clip = CLIPPINGS[accounting.clipping]
        self._open: Span | None = None
        self._oldest = KEPT_ALREADY  # no row to come names a frame before this one

    def tick(self, tick: int, obs_tick: int | None, episode_start: int, action, reward: float, ended: int) -> list:
        """One more tick. Returns the rows that it completes, at most two.

        Args:
          obs_tick: of the decision that acts in it, before `episode_start` if from a zero frame; None if the default action does.
          ended: GOES_ON, or how the episode ended in it.
        """
        rows = []
        if obs_tick is not None:
            frames, told = self._stack(obs_tick, episode_start), self._told(obs_tick, tick - 1, episode_start)
            newest = self._newest(tick - 1, episode_start)
            if self._open is not None:
                rows.append(self._follow(frames, told, newest, tick))
            self._open = None
            if frames is not None:
                self._oldest = min(frames + newest)
                self._open = Span(tick, obs_tick, episode_start, action, frames, told=told, newest=newest)
                if self._accounting.undelayed_next and obs_tick < episode_start:
                    # What is decided from next is kept first: a later number would leave behind all that are kept until then.
                    self._stack(episode_start, episode_start)
        if self._pending.length:
            self._recent.append(action)
        if self._pending.reflex:  # in the order of ticks, as what a reflex sees is older for who decides later
            self._keep([tick], self._oldest)
        if self._open is not None:
            span = self._open
            gained = span.reward + self._accounting.discount**span.ticks * self._clip(reward)
            self._open = span._replace(reward=gained, ticks=span.ticks + 1)
            if ended != GOES_ON:
                rows.append(self.close(tick, ended))
                self._oldest = max(rows[-1][1]) + 1  # nor is a zero frame of this episode named in another
        return rows

    def _follow(self, frames: list[int] | None, told: list, newest: list[int], tick: int) -> tuple:
        """Completes the open act as another decision acts in `tick`, which was decided from these frames.

        If they are gone, since it took longer than observations are there, no act is made of it, and the one before ends in the
        newest observation, as if its episode had been cut off there.
        """
        if frames is None:
            return self.close(tick - 1, TRUNCATED)
        then = self._stack(tick - 1, self._open.episode_start) if self._accounting.undelayed_next else frames
        return self._row(self._open, then, told, newest, GOES_ON)

    def close(self, tick: int, ended: int) -> tuple | None:
        """The row of the open act, if there is one, which ends with the episode, or is cut off, in `tick`, its last."""
        span, self._open = self._open, None
        if span is None:
            return None
        # What is led to is the newest observation there is: nothing has been done since.
        told = self._told(tick, tick, span.episode_start)
        newest = self._newest(tick, span.episode_start)
        return self._row(span, self._stack(tick, span.episode_start), told, newest, ended)

    def _told(self, obs_tick: int, newest: int, episode_start: int) -> list:
        if not self._pending.length:
            return []
        first, last = self._pending.span(obs_tick, newest, episode_start)
        length, upto = len(self._recent), newest - last  # of those kept, `newest` is the last
        actions = [
            self._recent[length - 1 - upto - back] for back in range(last - first, -1, -1) if length > upto + back
        ]
        return self._pending.padded(actions).tolist()

    def _newest(self, tick: int, episode_start: int) -> list[int]:
        return self._stack(tick, episode_start) if self._pending.reflex else []

    def _row(
        self, span: Span, next_frames: list[int], next_told: list, next_newest: list[int], ended: int
    ) -> tuple[Any, ...]:
        row = (span.frames, next_frames, span.apply_tick, span.obs_tick, span.reward, span.action, span.ticks, ended)
        row = (*row, span.told, next_told) if self._pending.length else row
        return (*row, span.newest, next_newest) if self._pending.reflex else row

    def _stack(self, tick: int, episode_start: int) -> list[int] | None:
        if tick < episode_start:
            ticks = [ZERO_FRAME] * self._stacking.depth
        else:
            alone = self._stacking.depth == 1
            ticks = [tick] if alone else stacked_ticks(tick, episode_start, self._stacking).tolist()
        return self._keep(ticks, self._oldest)

    def save(self) -> dict:
        """Plain values to go on from."""
        open_span = None if self._open is None else list(self._open)
        return {"open": open_span, "oldest": self._oldest, "recent": self._kept()}

    def _kept(self) -> list | np.ndarray:
        """Of the actions looked back on the newest that there is room for: of long vectors, whose state has to fit the board."""
        recent = list(self._recent)
        if not recent or not np.ndim(recent[0]):
            return recent
        most = max(self._pending.length, MOST_KEPT_BYTES // np.asarray(recent[0]).nbytes)
        return np.asarray(recent[-most:])

    def restore(self, saved: dict) -> None:
        self._open = None if saved["open"] is None else Span(*saved["open"])
        self._oldest = saved["oldest"]
        self._recent.extend(saved["recent"])


def how_it_ended(terminated: bool, truncated: bool) -> int:
    """Of an episode: terminated, if both."""
    return TERMINATED if terminated else TRUNCATED if truncated else GOES_ON
