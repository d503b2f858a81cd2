"""When decisions are made and when they act, in a world that is paused but behaves as if it had not been.

Observation 0 is the one an episode begins with; tick n is the step that makes observation n. See docs/semantics.md.
"""

from typing import NamedTuple


class Schedule(NamedTuple):
    """Decisions are computed from observations 0, `every`, 2·`every`, … The one from observation m acts in the `hold` ticks
    from m + `delay` on, and β acts in ticks that no decision acts in. All in ticks; `every` = 0 never decides.
    """

    delay: int
    hold: int
    every: int

    def decides(self, observation: int) -> bool:
        """Whether a decision is computed from this observation of the episode."""
        return self.every > 0 and observation % self.every == 0

    def source(self, tick: int) -> int | None:
        """Number of the observation whose decision acts in tick `tick` (from 1 on), None where β acts."""
        if not self.every or tick < self.delay:
            return None
        newest = (tick - self.delay) // self.every * self.every
        return newest if tick - newest < self.delay + self.hold else None


def asynchronous(delay: int, hold: int = 1) -> Schedule:
    """Enough staggered processes: a decision from every `hold`-th observation, each `delay` ticks late. No inaction after the
    first `delay` - 1 ticks; delay 1 is the ordinary paused environment.
    """
    return Schedule(delay, hold, hold)


def sequential(delay: int, hold: int = 1) -> Schedule:
    """One process that starts its next decision from the observation of the last tick its previous one acted in.

    Inaction is (delay - 1) / (delay - 1 + hold), so (delay - 1) / delay for actions of one tick.
    """
    return Schedule(delay, hold, delay - 1 + hold)


NEVER = Schedule(delay=1, hold=1, every=0)
"""β throughout: the baseline of doing nothing."""
