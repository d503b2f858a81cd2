"""Which fields of the board go which way between the environment's machine and that of a crew.

Every field has one writer on each board. What the environment, the learners and the supervisor write on theirs, a bridge writes
on a crew's; what the crew writes on its own board, a bridge writes on the environment's. So each field goes one way:

  to the crew: observations and their ticks, tickets, how many decisions have been taken, the control word and the start, the
  table of announcements, and how long to hold an answer. Snapshots go by a connection of their own (`home`, `node`).
  from the crew: decisions, idle and answered words, readiness, warm-up times, states of random generators, inference times.
  Of a crew with the learners also the records of their updates; the rest of learning is in `stream` and `training`.

Within a message as on a board, what is pointed to is written before what points to it.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtrl_jax import actions
from rtrl_jax.board.layout import RUNNING, STOPPING, Board
from rtrl_jax.board.records import UPDATE, layouts
from rtrl_jax.cluster import training
from rtrl_jax.core.assembly import Assembly, Process

LOOKBACK = 64  # ticks that a crew is told of when it comes in, besides those that one decision looks back
TO_CREW = {
    **{"tickets": np.dtype("i8"), "heads": np.dtype("i8"), "random_states": np.dtype("u8")},
    **{"stagger": np.dtype("f8"), "stagger_rows": np.dtype("i8"), "answers": np.dtype("f8")},
}
FROM_CREW = {
    **{"ready": np.dtype("i8"), "workers": np.dtype("i8"), "random_states": np.dtype("u8")},
    **{"warm_up": np.dtype("f8"), "tau": np.dtype("f8"), "updates": UPDATE, "first_updates": np.dtype("i8")},
}


class Link(NamedTuple):
    """A crew's row in the field `link`: what the bridge beside the environment says of its machine."""

    up: int = 0  # 1 while it is connected
    incarnation: int = (
        0  # of the crew that was connected last, from 1 on, which one of before does not push out; 0: none
    )
    offset_ns: int = 0  # how far its clock is ahead of ours
    round_trip_ns: int = -1  # the quickest of late; -1 before the first


def types_to_crew(assembly: Assembly) -> dict[str, np.dtype]:
    """Of the arrays in messages to a crew."""
    frame = np.dtype(assembly.spec.observation_dtype)
    return {**TO_CREW, "frames": frame, "tick_rows": layouts(actions.layout(assembly.spec.actions)).tick}


def types_from_crew(assembly: Assembly) -> dict[str, np.dtype]:
    """Of the arrays in its answers."""
    return {**FROM_CREW, "decisions": layouts(actions.layout(assembly.spec.actions)).decision}


def workers_of(processes: list[Process]) -> np.ndarray:
    """The inference workers of a crew, in order."""
    return np.array([worker for process in processes for worker in process.workers], np.int64)


class Outgoing:
    """On the environment's machine: what a crew is to be told, as the values and arrays of a message."""

    def __init__(self, board: Board, assembly: Assembly, processes: list[Process]):
        self._board, self._workers = board, workers_of(processes)
        settings = assembly.settings
        self._reach = settings.stacking.reach + settings.told
        self._lookback = LOOKBACK + self._reach + (settings.playout_ticks or 0)
        self._tick = 0  # the next one to tell of
        self._stagger = np.full_like(board.stagger, np.nan)

    def everything(self) -> tuple[dict, dict]:
        """For a crew that comes in, or back: also how many of its decisions are here, and what its predecessors left."""
        values, arrays = self.news()
        heads, states = self._board.decision_head[self._workers], self._board.random_states[self._workers]
        values["update_heads"] = self._board.update_head.tolist()
        return values, {**arrays, "heads": heads, "random_states": states}

    def news(self) -> tuple[dict, dict]:
        """What is new. Tickets are read before the ticks, so that what they point to is in the same message: also after a link
        has stalled, when a ticket may be older than all that would be told otherwise."""
        board, workers = self._board, self._workers
        control = int(board.control[0])
        counts, wanted = board.ticket_count[workers], board.ticket_obs[workers]
        tickets = np.stack([counts, wanted, board.decision_taken[workers]], axis=1)
        wanted = wanted[counts != board.answered[workers]]
        answers = board.tau_answer[workers]
        observations = board.observations
        head = observations.newest + 1
        oldest = min(head - self._lookback, int(wanted.min(initial=head)) - self._reach)
        first = max(self._tick, oldest, head - observations.capacity // 2, 0)
        rows = np.arange(first, head) % observations.capacity
        self._tick = head
        arrays = {
            "tickets": tickets,
            "answers": answers,
            "tick_rows": observations.ticks.rows[rows],
            "frames": observations.frames[rows],
        }
        changed = np.flatnonzero((board.stagger != self._stagger).any(axis=1))
        if len(changed):
            self._stagger[changed] = board.stagger[changed]
            arrays |= {"stagger_rows": changed, "stagger": self._stagger[changed]}
        wishes = [int(board.training_wanted[0]), int(board.training_told[0])]
        return {"control": control, "first": first, "training": wishes}, arrays


class Follower:
    """On a crew's machine: writes what has been told, and gathers what the crew has to say."""

    def __init__(self, board: Board, processes: list[Process]):
        self._board, self._workers = board, workers_of(processes)
        self._numbers = [process.number for process in processes]
        self._of_worker = {worker: process.number for process in processes for worker in process.workers}
        self._heads: dict[int, int] = {}  # decisions of each worker that have been told
        self._learners = [process.number for process in processes if process.learner is not None]
        self._updates: list[int] = []  # of each learner that have been told
        self._ready, self._is_new = None, True

    def enter(self, values: dict, arrays: dict, start_ns: int) -> None:
        """What `Outgoing.everything` says. Args: start_ns: by this machine's clock."""
        board, workers = self._board, self._workers
        if self._is_new:  # the crew goes on where one before it, maybe on another machine, has left off
            board.decision_head[workers] = arrays["heads"]
            board.random_states[workers] = arrays["random_states"]
            board.answered[workers] = arrays["tickets"][:, 0]
            board.tau_told[workers] = arrays["answers"]
            board.update_head[:] = values["update_heads"] if self._learners else 0
            self._is_new = False
        self._updates = values["update_heads"]
        self._heads, self._ready = dict(zip(workers.tolist(), arrays["heads"].tolist(), strict=True)), None
        self.follow(values, arrays, start_ns)

    def follow(self, values: dict, arrays: dict, start_ns: int) -> set[int]:
        """What `Outgoing.news` says; returns the numbers of the processes that are to be woken for it."""
        board, workers, before = self._board, self._workers, int(self._board.tick_head[0])
        self._publish(values["first"], arrays["tick_rows"], arrays["frames"])
        if "stagger" in arrays:
            board.stagger[arrays["stagger_rows"]] = arrays["stagger"]
        told, answers = arrays["tickets"], arrays["answers"]
        woken = (board.ticket_count[workers] != told[:, 0]) | (board.tau_answer[workers, 0] != answers[:, 0])
        board.tau_answer[workers, 1] = answers[:, 1]
        board.tau_answer[workers, 0] = answers[:, 0]
        board.decision_taken[workers] = told[:, 2]
        board.ticket_obs[workers] = told[:, 1]
        board.ticket_count[workers] = told[:, 0]
        if values["control"] != board.control[0] != STOPPING:  # one that is ending does not begin again
            if values["control"] == RUNNING:
                board.start_ns[0] = start_ns
            board.control[0] = values["control"]
            return set(self._numbers)
        rung = self._learners if board.tick_head[0] != before else []
        return {self._of_worker[worker] for worker in workers[woken].tolist()}.union(rung)

    def _publish(self, first: int, rows: np.ndarray, frames: np.ndarray) -> None:
        """Observations from tick `first` on. If some were missed before it nobody sees the first of these until all are there:
        what is stacked on the first would be what lies in the place of the missed ones."""
        board = self._board
        skipped = max(0, int(board.tick_head[0]) - first)
        if first > board.tick_head[0] and len(rows):
            places = np.arange(first, first + len(rows)) % board.observations.capacity
            board.frames[places], board.tick_rows[places] = frames, rows
            board.tick_head[0] = first + len(rows)
            return
        for frame, row in zip(frames[skipped:], rows[skipped:], strict=True):
            board.observations.publish(frame, row)

    def holding(self) -> set[int]:
        """The processes with a ticket that they have not answered: a late head may wait for what has just come."""
        board, workers = self._board, self._workers
        return {self._of_worker[w] for w in workers[board.ticket_count[workers] != board.answered[workers]].tolist()}

    def says(self) -> dict[str, np.ndarray]:
        """What the crew has to say. Words are read before the decisions that they tell of, readiness after what it promises."""
        board, workers = self._board, self._workers
        ready = board.ready[self._numbers]
        words = np.stack([board.answered[workers], board.idle[workers]], axis=1)
        tau = board.tau_told[workers]
        decided = []
        for worker in workers[board.decision_head[workers] != list(self._heads.values())].tolist():
            self._heads[worker], rows = _rows_since(board.decisions(worker), self._heads[worker])
            decided.append(rows)
        arrays = {
            "ready": ready,
            "workers": words,
            "tau": tau,
            "decisions": np.concatenate(decided) if decided else np.empty(0, board.decision_rows.dtype),
            "random_states": board.random_states[workers],
        }
        if self._learners:
            firsts, arrays["updates"] = training.last_updates(board, self._updates)
            arrays["first_updates"] = np.array(firsts)
            counts = np.bincount(arrays["updates"]["learner"], minlength=len(firsts))
            self._updates = (arrays["first_updates"] + counts).tolist()
        if self._ready is None or (ready != self._ready).any():
            self._ready = ready
            arrays["warm_up"] = board.warm_up_ns[workers]
        return arrays


def _rows_since(ring, since: int) -> tuple[int, np.ndarray]:
    first, rows = ring.read(since)
    return first + len(rows), rows


class Incoming:
    """On the environment's machine: writes what a crew says."""

    def __init__(self, board: Board, processes: list[Process], announce: Callable[[int, float], float]):
        """Args: announce: (worker, τ_θ in s) -> how long to hold the answer, in s; see `announcing`."""
        self._board, self._workers, self._announce = board, workers_of(processes), announce
        self._numbers = [process.number for process in processes]

    def hear(self, arrays: dict, offset_ns: int, now_ns: int) -> bool:
        """Whether there is something to answer at once. Args: offset_ns: of the crew's clock, ahead of ours."""
        board, workers = self._board, self._workers
        for row in arrays["decisions"]:
            worker = int(row["worker"])
            if worker not in workers:
                raise ValueError(f"worker {worker} is not of this crew")
            board.decisions(worker).append(_by_our_clock(row, offset_ns, now_ns))
        board.random_states[workers] = arrays["random_states"]
        if "warm_up" in arrays:
            board.warm_up_ns[workers] = arrays["warm_up"]
        board.answered[workers] = arrays["workers"][:, 0]
        board.idle[workers] = arrays["workers"][:, 1]
        board.ready[self._numbers] = arrays["ready"]
        if "updates" in arrays:
            firsts = arrays["first_updates"].tolist()
            training.append_updates(board, firsts, arrays["updates"], offset_ns, now_ns)
        new = arrays["tau"][:, 0] > board.tau_told[workers, 0]
        for worker, (count, tau_s) in zip(workers[new].tolist(), arrays["tau"][new].tolist(), strict=True):
            board.tau_told[worker] = count, tau_s
            board.tau_answer[worker] = count, self._announce(worker, tau_s)
        return bool(new.any())

    def gone(self) -> None:
        """The crew cannot be heard any more: it takes no tickets, and is not ready."""
        self._board.idle[self._workers] = 0
        self._board.ready[self._numbers] = 0


def _by_our_clock(row: np.void, offset_ns: int, now_ns: int) -> np.void:
    """A decision whose instants are by the environment's clock. It was registered here, now, and made no later."""
    row = row.copy()
    for name in ("start_ns", "end_ns", "trunk_end_ns", "head_start_ns"):
        row[name] = min(int(row[name]) - offset_ns, now_ns)
    row["registered_ns"] = now_ns
    return row
