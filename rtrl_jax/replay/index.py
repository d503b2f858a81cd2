"""Which transitions the board's ring still holds: numbers of ticks only; the ring holds the frames.

A transition is known by the tick at which its action was applied, its `key`: one action is applied a tick, so every process that
reads the same ring knows the same transitions by the same keys.
"""

import numpy as np

from rtrl_jax.agents.agent import Batch
from rtrl_jax.board.ring import Observations, join_stack, stacked_ticks
from rtrl_jax.replay.transitions import TRANSITION, TransitionBuilder

PORTION = 20_000  # ticks; a new learner with a long record to read must not look hung meanwhile


class Index:
    """What every replay is made around."""

    def __init__(self, observations: Observations, builder: TransitionBuilder, frame_stack: int):
        self._observations, self._builder, self._depth = observations, builder, frame_stack
        self._ndim = observations.frames.ndim - 1
        self.capacity = observations.capacity
        # A key's row is the key modulo capacity: when a later one takes it, the earlier one's frames are gone.
        self._rows = np.zeros(self.capacity, TRANSITION)
        self._rows["apply_tick"] = -1
        self._keys = np.zeros(self.capacity, np.int64)  # ring of the keys, rising
        self._first = self._end = 0  # numbers of the oldest and of the next transition
        self._next_tick = 0

    def __len__(self) -> int:
        return self._end - self._first

    @property
    def ingested(self) -> int:
        """Transitions taken in since the start, those that have been overwritten since included."""
        return self._end

    def ingest(self) -> None:
        """Takes in ticks recorded since the last call, a portion of them, and drops what has been overwritten."""
        first, records = self._observations.ticks.read(self._next_tick, most=PORTION)
        if first != self._next_tick:
            self._builder.forget()
        if len(records):
            found = self._builder.feed(records)
            self._rows[found["apply_tick"] % self.capacity] = found
            self._keys[np.arange(self._end, self._end + len(found)) % self.capacity] = found["apply_tick"]
            self._end += len(found)
        self._next_tick = first + len(records)
        self.drop_overwritten()

    def drop_overwritten(self) -> None:
        self._first = max(self._first, self._end - self.capacity)
        while self._first < self._end:
            some = np.arange(self._first, min(self._first + 1024, self._end))
            gone = (
                self._rows["obs_tick"][self._keys[some % self.capacity] % self.capacity] <= self._newest_overwritten()
            )
            self._first += len(some) if gone.all() else int(gone.argmin())
            if not gone.all():
                return

    def _newest_overwritten(self) -> int:
        """Observations up to this tick are no use any more: a frame of their stack may be refilled at any time."""
        return self._observations.newest + 1 - self.capacity + self._depth

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Keys [size], uniformly, with replacement. Raises ValueError while there is none."""
        if not len(self):
            raise ValueError("the replay is empty")
        return self._keys[rng.integers(self._first, self._end, size) % self.capacity]

    def holds(self, keys: np.ndarray) -> np.ndarray:
        """Which of these transitions, bool [...], are known here and not overwritten."""
        rows = self._rows[keys % self.capacity]
        return (rows["apply_tick"] == keys) & (rows["obs_tick"] > self._newest_overwritten())

    def key_at(self, row):
        """The key whose row this is, the newest known one; −1 if there is none."""
        return self._rows["apply_tick"][row]

    def since(self, tick: int) -> np.ndarray:
        """The keys, rising, from `tick` on, of what is not overwritten."""
        low, high = self._first, self._end
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._keys[middle % self.capacity] < tick else (low, middle)
        return self._keys[np.arange(low, self._end) % self.capacity]

    @property
    def all_before(self) -> int:
        """Of the transitions applied before this tick, all have been overwritten."""
        if len(self):
            return int(self._keys[self._first % self.capacity])
        return self._newest_overwritten() + 2  # an action is applied at least a tick after its observation

    def gather(self, keys: np.ndarray) -> Batch | None:
        """These transitions with their frames, weights 1. None if the writer, who never waits, reached one of them meanwhile."""
        rows = self._rows[keys % self.capacity]
        now = self._stacks(rows["obs_tick"], rows["episode_start"])
        then = self._stacks(rows["next_tick"], rows["episode_start"])
        if not self._observations.readable(rows["obs_tick"] - self._depth).all():
            return None
        weight = np.ones(len(keys), np.float32)
        return Batch(now, rows["action"].copy(), rows["reward"].copy(), rows["discount"].copy(), then, weight)

    def _stacks(self, ticks: np.ndarray, episode_start: np.ndarray) -> np.ndarray:
        wanted = stacked_ticks(ticks, episode_start, self._depth)
        return join_stack(self._observations.frames[wanted % self.capacity], self._ndim)
