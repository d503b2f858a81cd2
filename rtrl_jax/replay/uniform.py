"""Uniform sampling of transitions whose frames are still in the board's ring."""

import numpy as np

from rtrl_jax.agents.agent import Batch
from rtrl_jax.board.ring import Observations, join_stack, stacked_ticks
from rtrl_jax.replay.transitions import TransitionBuilder

PORTION = 20_000  # ticks; a new learner with a long record to read must not look hung meanwhile

COLUMNS = np.dtype(
    [
        ("obs_tick", "i8"),
        ("next_tick", "i8"),
        ("episode_start", "i8"),
        ("action", "i4"),
        ("reward", "f4"),
        ("discount", "f4"),
    ]
)


class UniformReplay:
    """An index over the ring: it holds numbers of ticks, the ring holds the frames."""

    def __init__(self, observations: Observations, builder: TransitionBuilder, frame_stack: int):
        self._observations, self._builder, self._depth = observations, builder, frame_stack
        self._ndim = observations.frames.ndim - 1
        self._index = np.zeros(observations.capacity, COLUMNS)  # ring of transitions, in order of obs_tick
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
        for tick, record in enumerate(records, first):
            for transition in self._builder.feed(tick, record):
                self._index[self._end % len(self._index)] = transition
                self._end += 1
        self._next_tick = first + len(records)
        self._drop_overwritten()

    def _drop_overwritten(self) -> None:
        oldest = self._observations.newest + 1 - self._observations.capacity + self._depth
        self._first = max(self._first, self._end - len(self._index))
        while self._first < self._end and self._index["obs_tick"][self._first % len(self._index)] <= oldest:
            self._first += 1

    def sample(self, rng: np.random.Generator, size: int) -> Batch:
        """A batch drawn uniformly, with replacement. Raises ValueError while the replay is empty."""
        while True:
            if not len(self):
                raise ValueError("the replay is empty")
            rows = self._index[rng.integers(self._first, self._end, size) % len(self._index)]
            now = self._gather(rows["obs_tick"], rows["episode_start"])
            then = self._gather(rows["next_tick"], rows["episode_start"])
            # The writer never waits: if it has meanwhile reached one of these frames, draw again.
            if self._observations.readable(rows["obs_tick"] - self._depth).all():
                weight = np.ones(size, np.float32)
                return Batch(now, rows["action"].copy(), rows["reward"].copy(), rows["discount"].copy(), then, weight)
            self._drop_overwritten()

    def sample_with_keys(self, rng, size):
        return self.sample(rng, size), None

    def settle(self, keys, errors):
        pass

    def _gather(self, ticks: np.ndarray, episode_start: np.ndarray) -> np.ndarray:
        wanted = stacked_ticks(ticks, episode_start, self._depth)
        return join_stack(self._observations.frames[wanted % self._observations.capacity], self._ndim)
