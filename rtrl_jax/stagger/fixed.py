"""When the released delay script of the paper acts, and on what: at a fixed pace, from an old observation, decided just before.

With the interface of `Ticket`, for virtual runs with --accounting. It has no state: pace and age follow from the episode's start.
"""

from typing import NamedTuple


class Cadence(NamedTuple):
    """In ticks."""

    period: int  # from one action to the next
    lag: int  # from the observation that an action was decided from to the tick in which it acts
    zero_frames: bool = (
        False  # one stands for each observation of before the episode; otherwise β acts until there is a real one
    )


class Fixed:
    def __init__(self, cadence: Cadence):
        self._cadence = cadence
        self.playout = cadence.lag
        # So many ticks before an episode's first observation zero frames stand for what was not there.
        self.before_episodes = cadence.lag if cadence.zero_frames else 0

    def observe(self, ticks: int, used_network: bool, needed: int | None = None) -> None:
        pass

    def save(self) -> dict:
        return {}

    def restore(self, saved: dict, next_tick: int | None = None) -> None:
        pass

    def dispatch(self, tick: int, idle: list[int], oldest: int = 0) -> list[tuple[int, int]]:
        """Hands out what the action of the next tick is decided from, if there is to be one. As `Ticket.dispatch`.

        An observation older than the episode, which starts at `oldest`, is a zero frame.
        """
        wanted = tick + 1 - self._cadence.lag
        due = (wanted - oldest) % self._cadence.period == 0
        if not due or wanted < oldest - self.before_episodes or not idle:
            return []
        return [(idle[0], wanted)]
