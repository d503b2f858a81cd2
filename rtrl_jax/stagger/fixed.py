"""One observation in every `period` ticks, acted on exactly `playout` ticks later: what the paper's simulation does.

With the interface of `Ticket`, for virtual runs that repeat the accounting of the paper's code.
"""


class Fixed:
    def __init__(self, period: int, playout: int):
        """Args: period, playout: ticks."""
        self._period = period
        self.playout = playout
        self._next = 0  # earliest tick at which an observation is handed out
        self._episode = 0

    def observe(self, ticks: int, used_network: bool) -> None:
        pass

    def save(self) -> dict:
        return {}

    def dispatch(self, tick: int, idle: list[int], oldest: int = 0) -> list[tuple[int, int]]:
        """Hands out the newest observation when it is time, from the start of an episode on. As `Ticket.dispatch`."""
        if oldest != self._episode:
            self._episode = self._next = oldest
        if tick < self._next or not idle:
            return []
        self._next = tick + self._period
        return [(idle[0], tick)]
