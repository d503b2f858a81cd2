"""How much of a run is over."""

from typing import NamedTuple

CLOCK_FROM_S = 120.0  # from here on times are h:mm:ss


class Limits(NamedTuple):
    """What ends a run; None for what does not."""

    duration_s: float | None = None
    max_ticks: int | None = None
    max_episodes: int | None = None

    def fraction(self, played_s: float, ticks: int, episodes: int) -> float | None:
        """Of the run that is over, 0 … 1; None if nothing but a person ends it. Args: so far, in all sessions together."""
        so_far = zip((played_s, ticks, episodes), self, strict=True)
        parts = [done / limit for done, limit in so_far if limit]
        return min(1.0, max(parts)) if parts else None

    def words(self, played_s: float, ticks: int, episodes: int) -> str:
        """The same in words: `12 of 60 s, tick 716`."""
        time = clock(played_s)
        if self.duration_s:
            total = clock(self.duration_s)
            time = f"{played_s:.0f} of {total}" if total.endswith(" s") else f"{clock(played_s, 0)} of {total}"
        tick = f"tick {ticks:,}" + (f" of {self.max_ticks:,}" if self.max_ticks else "")
        episode = f", episode {episodes + 1:,} of {self.max_episodes:,}" if self.max_episodes else ""
        return f"{time}, {tick}{episode}"


def clock(seconds: float, from_s: float = CLOCK_FROM_S) -> str:
    """75.2 -> 75 s; 3725 -> 1:02:05. Args: from_s: how long a time is written as a clock does."""
    if seconds < from_s:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
