"""Which decision acts at a boundary, and what became of the others. A state machine without a clock."""

import heapq
from typing import Any

from rtrl_jax.board.records import APPLIED, OVERWRITTEN, STALE, Outcome


class Arbiter:
    """Holds decisions until they are due; among those due at a boundary the newest observation wins."""

    def __init__(self):
        self._waiting = []  # heap of (due tick, order of arrival, decision)
        self._arrived = 0
        self._last_applied = -(
            1 << 62
        )  # observation of the last decision that acted; zero frames of before tick 0 are negative

    def submit(self, decision, due_tick: int) -> None:
        """Args: decision: a DECISION record. due_tick: the first boundary at which it may act."""
        heapq.heappush(self._waiting, (due_tick, self._arrived, decision))
        self._arrived += 1

    def latch(self, tick: int, oldest: int) -> tuple[Any | None, list[Outcome]]:
        """Chooses the decision in force at boundary `tick`.

        Args:
          tick: the boundary.
          oldest: the episode's first observation; what was decided from an older one is stale.

        Returns:
          (decision or None if the default action acts, outcomes of all decisions that were due).
        """
        if not self._waiting or self._waiting[0][0] > tick:
            return None, []
        due = []
        while self._waiting and self._waiting[0][0] <= tick:
            due.append(heapq.heappop(self._waiting)[2])
        oldest = max(self._last_applied, oldest)
        usable = [decision for decision in due if decision["obs_tick"] >= oldest]
        chosen = max(usable, key=lambda decision: decision["obs_tick"], default=None)
        if chosen is not None:
            self._last_applied = int(chosen["obs_tick"])
        outcomes = []
        for decision in due:
            if decision is chosen:
                outcomes.append(Outcome(decision, APPLIED, tick))
            else:
                outcomes.append(Outcome(decision, STALE if decision["obs_tick"] < oldest else OVERWRITTEN, -1))
        return chosen, outcomes

    def state(self) -> dict:
        """What `restore` goes on from."""
        return {"waiting": sorted(self._waiting, key=lambda item: item[:2]), "last_applied": self._last_applied}

    def restore(self, saved: dict) -> None:
        self._waiting, self._last_applied = list(saved["waiting"]), saved["last_applied"]  # a sorted list is a heap
        self._arrived = 1 + max((arrived for _, arrived, _ in self._waiting), default=-1)

    def close(self) -> list[Outcome]:
        """Outcomes of what is still waiting when the run ends: too late for it."""
        return [Outcome(decision, STALE, -1) for _, _, decision in sorted(self._waiting, key=lambda item: item[:2])]
