"""An inference worker's side of the board: the tickets it gets and the decisions it registers."""

from collections.abc import Callable
from typing import Any, NamedTuple

from rtrl_jax.board.records import Decision
from rtrl_jax.workers.effects import Timed


class Choice(NamedTuple):
    """What a policy answers."""

    action: Any  # see `rtrl_jax.actions`
    greedy: bool  # False for an exploratory action, which the network was not asked for
    version: int  # of the parameters


class Features(NamedTuple):
    """What a trunk answers: a late head makes a `Choice` of it, once it can be told what else has been done."""

    values: Any  # [units] float32
    version: int  # of the parameters
    seed: int  # for the head, uint32
    greedy: bool = True  # the network was needed


class Course(NamedTuple):
    """How a decision with a late head came about; see `Decision`."""

    trunk_end_ns: int
    head_start_ns: int
    told_tick: int


def in_two_parts(trunk: Timed, head: Timed, told_tick: int) -> tuple[Choice, int, int, Course]:
    """What `Mailbox.register` takes. Args: trunk: of `Features`. head: of a `Choice`."""
    return head.value, trunk.start_ns, head.end_ns, Course(trunk.end_ns, head.start_ns, told_tick)


class Mailbox:
    """One inference worker's fields. The worker writes decisions, the environment reads them; tickets go the other way."""

    def __init__(self, board, worker: int, now_ns: Callable[[], int], told: Callable[[], None] = lambda: None):
        """Args: told: called once something new may be seen of this worker."""
        self.worker = worker
        self._board, self._now_ns, self._told = board, now_ns, told
        self._decisions = board.decisions(worker)

    def open(self) -> None:
        """Takes tickets from now on. One handed to a predecessor that died is given up."""
        self._board.answered[self.worker] = self._board.ticket_count[self.worker]
        self._board.idle[self.worker] = 1
        self._told()

    def ticket(self) -> int | None:
        """The observation of the ticket that waits for an answer, if there is one."""
        if self._board.ticket_count[self.worker] == self._board.answered[self.worker]:
            return None
        return int(self._board.ticket_obs[self.worker])

    def answer_ticket(self) -> None:
        """Worker side: ready for the next one. Call it after `register`, so that the decision is seen first."""
        self._board.answered[self.worker] += 1
        self._told()

    def has_room(self) -> bool:
        """False while the environment is so far behind that a decision would overwrite one it has not seen."""
        unseen = self._decisions.head - int(self._board.decision_taken[self.worker])
        return unseen < len(self._decisions.rows) - 1

    def register(self, obs_tick: int, choice: Choice, start_ns: int, end_ns: int, course: Course | None = None) -> None:
        """Makes a decision visible to the environment process. Args: course: None where it was computed in one."""
        self._decisions.append(
            Decision(
                self.worker,
                choice.action,
                obs_tick,
                start_ns,
                end_ns,
                self._now_ns(),
                choice.version,
                choice.greedy,
                *(course or Course(end_ns, end_ns, -1)),
            )
        )
        self._told()
