"""What stands between a person's hand and the game: the delay of an agent, or all that a slow sequential one suffers."""

import collections


class Delayed:
    """Everything acts, `delay` ticks after the picture it answers to. A delay of 1 is that of an ordinary game."""

    def __init__(self, delay: int, default_action):
        self._waiting = collections.deque([default_action] * (delay - 1))

    def act(self, wanted):
        """Args: wanted: what is pressed at this tick. Returns what acts at it."""
        self._waiting.append(wanted)
        return self._waiting.popleft()

    thinking = 0.0


class Sequential:
    """One decision in `ticks` ticks: what is pressed when it is begun acts that many ticks later, once; in between β acts."""

    def __init__(self, ticks: int, default_action):
        self._ticks, self._default = ticks, default_action
        self._decision, self._left = default_action, 0

    def act(self, wanted):
        if self._left > 0:
            self._left -= 1
        if self._left > 0:
            return self._default
        acts, self._decision = self._decision, wanted
        self._left = self._ticks
        return acts

    @property
    def thinking(self) -> float:
        """How far the decision is, 0 … 1."""
        return 1 - self._left / self._ticks
