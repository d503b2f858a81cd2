"""The environment's side of the workers' fields: takes in their decisions, says when each is due, and hands out tickets."""

import math


class Dispatch:
    """Without a dispatcher the workers choose their observations themselves, and what they decide is due at once."""

    def __init__(
        self,
        board,
        dispatcher,
        processes: list[int],
        handed_at: dict[int, int] | None = None,
        late_tick_ns: float | None = None,
    ):
        """Args:
        dispatcher: a `stagger.Ticket`, or None.
        processes: for each inference worker, the number of its process.
        handed_at: observation -> tick at which its ticket was handed out; None: none was.
        late_tick_ns: if workers have late heads, which wait: the length of a tick.
        """
        self._board, self._dispatcher, self._processes = board, dispatcher, processes
        self._late_tick_ns = late_tick_ns
        self._handed_at = {} if handed_at is None else handed_at

    @property
    def playout(self) -> int:
        """D in force, in ticks; 0 without."""
        return self._dispatcher.playout if self._dispatcher else 0

    def oldest(self, episode_start: int) -> int:
        """The oldest observation that a decision may be from: the episode's first, or a zero frame that stands for one before."""
        return episode_start - (self._dispatcher.before_episodes if self._dispatcher else 0)

    def collect(self, tick: int):
        """Yields (DECISION record, due tick) for everything registered since the last boundary."""
        board = self._board
        for worker in (board.decision_head != board.decision_taken).nonzero()[0].tolist():
            head, rows = int(board.decision_head[worker]), board.decision_rows[worker]
            for number in range(int(board.decision_taken[worker]), head):
                decision = rows[number % len(rows)].copy()
                yield decision, self._due(decision, tick)
            board.decision_taken[worker] = head

    def _due(self, decision, tick: int) -> int:
        if self._dispatcher is None:
            return tick
        obs_tick = int(decision["obs_tick"])
        handed_at = self._handed_at.pop(obs_tick, tick - 1)
        used_network, taken = bool(decision["greedy"]), tick - handed_at
        self._dispatcher.observe(taken, used_network, self._needed(decision, handed_at, taken))
        return max(tick, obs_tick + self._dispatcher.playout)

    def _needed(self, decision, handed_at: int, taken: int) -> int:
        """Ticks that the answer would have taken if its head had not waited: D follows from these, N from `taken`."""
        waited = int(decision["head_start_ns"] - decision["trunk_end_ns"])
        if self._late_tick_ns is None or waited <= 0:
            return taken
        boundary_ns = self._board.observations.ticks.rows["boundary_ns"]
        took = int(decision["end_ns"]) - waited - int(boundary_ns[handed_at % len(boundary_ns)])
        return min(taken, max(1, math.ceil(took / self._late_tick_ns)))

    def hand_out(self, tick: int, episode_start: int, over: bool) -> set[int]:
        """Gives tickets to idle workers; returns the processes to wake. Nothing is decided on a finished episode."""
        if self._dispatcher is None:
            return set()
        board, woken = self._board, self._waited_for(tick, episode_start, over)
        if over:
            return woken
        idle = ((board.ticket_count == board.answered) & (board.idle == 1)).nonzero()[0].tolist()
        for worker, obs_tick in self._dispatcher.dispatch(tick, idle, episode_start):
            board.ticket_obs[worker] = obs_tick
            board.ticket_count[worker] += 1
            self._handed_at[obs_tick] = tick
            woken.add(self._processes[worker])
        return woken

    def _waited_for(self, tick: int, episode_start: int, over: bool) -> set[int]:
        """The processes whose late heads wait for this tick: the last before they act, or the end of their episode."""
        if self._late_tick_ns is None:
            return set()
        board = self._board
        soon = board.ticket_obs + self._dispatcher.playout <= tick + 1
        waiting = (board.ticket_count != board.answered) & (soon | (board.ticket_obs < episode_start) | over)
        return {self._processes[worker] for worker in waiting.nonzero()[0].tolist()}
