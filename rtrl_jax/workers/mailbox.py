"""An inference worker's side of the board: the tickets it gets and the decisions it registers."""

from collections.abc import Callable
from typing import NamedTuple

from rtrl_jax.board.records import Decision


class Choice(NamedTuple):
    """What a policy answers."""

    action: int
    greedy: bool  # False for an exploratory action, which the network was not asked for
    version: int  # of the parameters


class Mailbox:
    """One inference worker's fields. The worker writes decisions, the environment reads them; tickets go the other way."""

    def __init__(self, board, worker: int, now_ns: Callable[[], int]):
        self.worker = worker
        self._board, self._now_ns = board, now_ns
        self._decisions = board.decisions(worker)

    def open(self) -> None:
        """Takes tickets from now on. One handed to a predecessor that died is given up."""
        self._board.answered[self.worker] = self._board.ticket_count[self.worker]
        self._board.idle[self.worker] = 1

    def ticket(self) -> int | None:
        """The observation of the ticket that waits for an answer, if there is one."""
        if self._board.ticket_count[self.worker] == self._board.answered[self.worker]:
            return None
        return int(self._board.ticket_obs[self.worker])

    def answer_ticket(self) -> None:
        """Worker side: ready for the next one. Call it after `register`, so that the decision is seen first."""
        self._board.answered[self.worker] += 1

    def has_room(self) -> bool:
        """False while the environment is so far behind that a decision would overwrite one it has not seen."""
        unseen = self._decisions.head - int(self._board.decision_taken[self.worker])
        return unseen < len(self._decisions.rows) - 1

    def register(self, obs_tick: int, choice: Choice, start_ns: int, end_ns: int) -> None:
        """Makes a decision visible to the environment process."""
        self._decisions.append(
            Decision(
                worker=self.worker,
                action=choice.action,
                obs_tick=obs_tick,
                start_ns=start_ns,
                end_ns=end_ns,
                registered_ns=self._now_ns(),
                version=choice.version,
                greedy=choice.greedy,
            )
        )
