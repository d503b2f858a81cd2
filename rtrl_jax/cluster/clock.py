"""How far another machine's clock is from ours, from round trips of messages: the quickest of late tells best.

A message is sent at our instant s, taken at theirs t, answered at theirs u and is back at our b. If both ways took the same time
their clock is ((t − s) + (u − b)) / 2 ahead of ours; if not, that is wrong by no more than half of the round trip (b − s) − (u −
t). Clocks drift by a few dozen µs a second at worst, so only the last few seconds count.
"""

from collections import deque

TRIPS = 256  # round trips that count: four seconds of ticks at 60 Hz


class Offset:
    """Of one other clock, in nanoseconds: theirs less ours."""

    def __init__(self, guess_ns: int):
        """Args: guess_ns: what to go by until there has been a round trip."""
        self.offset_ns, self.round_trip_ns = guess_ns, -1  # -1: no round trip yet
        self._trips: deque[tuple[int, int]] = deque(maxlen=TRIPS)

    def note(self, sent_ns: int, taken_ns: int, answered_ns: int, back_ns: int) -> None:
        """A round trip: the first and the last instant by our clock, the others by theirs."""
        round_trip = (back_ns - sent_ns) - (answered_ns - taken_ns)
        self._trips.append((round_trip, ((taken_ns - sent_ns) + (answered_ns - back_ns)) // 2))
        self.round_trip_ns, self.offset_ns = min(self._trips)

    @property
    def uncertainty_ns(self) -> int:
        """How wrong it can be at most, drift apart; -1 while nothing is known."""
        return self.round_trip_ns // 2 if self.round_trip_ns >= 0 else -1
