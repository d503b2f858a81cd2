"""Which transitions there are: two numbers. A transition is known by the number of its act, its `key`, in every process alike."""

import numpy as np

from rtrl_jax.agents.agent import Batch, OneStep
from rtrl_jax.board.records import GOES_ON
from rtrl_jax.board.ring import Acts
from rtrl_jax.replay.transitions import Horizon, outlook

PORTION = 1024  # rows looked at at once


class Index:
    """What every replay is made around."""

    def __init__(self, acts: Acts, horizon: Horizon):
        self._acts, self._horizon = acts, horizon
        self._begin = self._first = self._end = acts.first
        self.leaves = acts.row_count  # a key's leaf in a tree of priorities is the key modulo this

    def __len__(self) -> int:
        return self._end - self._first

    @property
    def ingested(self) -> int:
        """Transitions there have been since the start, and those that a checkpoint kept."""
        return self._end - self._begin

    @property
    def first(self) -> int:
        """The oldest key there is; of those before, all have been overwritten."""
        return self._first

    def state(self) -> dict:
        """What there is by now, for `restore` on a board that holds the same acts."""
        return {"begin": self._begin, "first": self._first, "end": self._end}

    def restore(self, saved: dict) -> None:
        self._begin, self._first, self._end = saved["begin"], saved["first"], saved["end"]

    def ingest(self) -> None:
        """Looks how far the acts have come and drops what has been overwritten."""
        head = self._acts.head
        # The last n - 1 acts are open, but for those of an episode that has ended.
        recent = np.arange(max(self._begin, head - self._horizon.n + 1), head)
        ended = recent[self._acts.rows(recent)["ended"] != GOES_ON]
        self._end = max(self._end, int(ended[-1]) + 1 if len(ended) else head - len(recent))
        self.drop_overwritten()

    def drop_overwritten(self) -> None:
        """What rows refer to never gets older: what is gone comes first."""
        self._first = min(max(self._first, self._acts.first), self._end)
        size = 1
        while self._first < self._end:
            some = np.arange(self._first, min(self._first + size, self._end))
            there = self._acts.survive(some, self._acts.rows(some))
            if there.any():
                self._first += int(there.argmax())
                return
            self._first, size = self._first + len(some), PORTION

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Keys [size], uniformly, with replacement. Raises ValueError while there is none."""
        if not len(self):
            raise ValueError("the replay is empty")
        return rng.integers(self._first, self._end, size)

    def holds(self, keys: np.ndarray) -> np.ndarray:
        """Which of these transitions, bool [...], are known here and not overwritten."""
        known = (keys >= max(self._first, self._acts.first)) & (keys < self._end)
        return known & self._acts.survive(keys, self._acts.rows(keys))

    def key_at(self, leaf: np.ndarray) -> np.ndarray:
        """The newest known key whose leaf this is; −1 if there is none."""
        newest = self._end - 1
        key = newest - (newest - leaf) % self.leaves
        return np.where(key >= self._first, key, -1)

    def since(self, key: int) -> np.ndarray:
        """The keys, rising, from `key` on, of what is not overwritten."""
        return np.arange(max(self._first, key), self._end)

    def gather(self, keys: np.ndarray) -> Batch | None:
        """These transitions with their frames, weights 1. None if the writer, who never waits, reached one of them meanwhile."""
        acts = self._acts.rows(keys[:, None] + np.arange(self._horizon.n))
        reward, discount, final = outlook(acts, self._horizon)
        began = acts[:, 0]
        now, then = self._acts.seen(began), self._acts.seen(final, "next_")
        one_step = None
        if self._horizon.one_step:
            soon = outlook(acts[:, :1], self._horizon._replace(n=1))
            one_step = OneStep(soon.reward, soon.discount, self._acts.seen(began, "next_"))
        # Later rows, and what they refer to, are overwritten later.
        if not self._acts.survive(keys, began).all():
            return None
        return Batch(now, began["action"].copy(), reward, discount, then, np.ones(len(keys), np.float32), one_step)
