"""Learning, as the learner's loop and the sequential agent's both do it: when an update is due, and doing it."""

from collections.abc import Callable

import jax
import numpy as np

from rtrl_jax.board.ring import Observations, Ring
from rtrl_jax.workers.effects import Learn, Sleep

IDLE_NS = 2_000_000  # between two looks at whether there is something to learn


class Learning:
    """Replay, agent state and publisher of one learner. The learner is the only one who writes parameters."""

    def __init__(self, replay, state, update, publisher, *, learn_every, batch_size, learn_start, rng):
        """Args: state, update: of an agent, see `agents.dqn`. learn_every: ticks for each update."""
        self.state = state
        self._replay, self._update, self._publisher, self._rng = replay, update, publisher, rng
        self._learn_every, self._batch_size = learn_every, batch_size
        self._learn_start = max(learn_start, 1)
        self._began_at = None  # tick at which there was enough to learn from
        self._done = 0

    def due(self, newest_tick: int) -> bool:
        """Whether the schedule asks for an update now."""
        self._replay.ingest()
        if self._began_at is None:
            if self._replay.ingested < self._learn_start:
                return False
            self._began_at = newest_tick
        return len(self._replay) > 0 and self._done * self._learn_every <= newest_tick - self._began_at

    def pretrain(self, steps: int, record: Callable[[int, float], None]) -> None:
        """Updates on what is in the replay before the run begins; they do not count for the schedule.

        Args: record: called after each with (version it was applied to, loss).
        """
        before = -1
        while self._replay.ingested > before:  # it takes in a portion at a time
            before = self._replay.ingested
            self._replay.ingest()
        for _ in range(steps if len(self._replay) else 0):  # with too long a delay no action is left to learn from
            record(*self.step())
        self._done = 0

    def step(self) -> tuple[int, float]:
        """One update, published. Returns (version it was applied to, loss)."""
        version = int(self.state.updates)
        batch = self._replay.sample(self._rng, self._batch_size)
        self.state, loss, _ = self._update(self.state, batch, np.uint32(version))
        # A slot may be missing while slow readers hold them all; the next update then brings the news.
        self._publisher.publish([np.asarray(leaf) for leaf in jax.tree.leaves(self.state.parameters)], version + 1)
        self._done += 1
        return version, float(loss)


def learner_loop(learner: int, learning: Learning, observations: Observations, updates: Ring, *, start_ns: int):
    """Updates whenever the schedule asks for it, as fast as it can while it lags behind."""
    now = yield Sleep(start_ns)
    while True:
        if not learning.due(observations.newest):
            now = yield Sleep(now + IDLE_NS)
            continue
        (version, loss), start, now = yield Learn(learning.step)
        updates.append((learner, loss, start, now, version, version))
