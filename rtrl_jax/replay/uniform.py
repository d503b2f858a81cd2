"""Uniform sampling of the transitions that are there."""

import numpy as np

from rtrl_jax.agents.agent import Batch
from rtrl_jax.board.ring import Acts
from rtrl_jax.replay.index import Index
from rtrl_jax.replay.transitions import Horizon


class UniformReplay:
    def __init__(self, acts: Acts, horizon: Horizon):
        self._index = Index(acts, horizon)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def ingested(self) -> int:
        """Transitions there have been since the start, those that have been overwritten since included."""
        return self._index.ingested

    def ingest(self) -> None:
        """Looks what has come since the last call, and drops what has been overwritten."""
        self._index.ingest()

    def state(self) -> dict:
        """How far it has come: what `restore` needs besides what is on the board."""
        return self._index.state()

    def restore(self, saved: dict) -> None:
        """In place of taking in all there is."""
        self._index.restore(saved)

    def sample(self, rng: np.random.Generator, size: int) -> Batch:
        """A batch drawn uniformly, with replacement. Raises ValueError while the replay is empty."""
        return self.sample_with_keys(rng, size)[0]

    def sample_with_keys(self, rng: np.random.Generator, size: int) -> tuple[Batch, np.ndarray]:
        """The same, with the transitions' keys [size] for `settle`."""
        while True:
            keys = self._index.draw(rng, size)
            if (batch := self._index.gather(keys)) is not None:
                return batch, keys
            self._index.drop_overwritten()

    def sample_with_probabilities(self, rng: np.random.Generator, size: int) -> tuple[Batch, np.ndarray, np.ndarray]:
        """The same, and the probabilities [size] that each was drawn with."""
        return *self.sample_with_keys(rng, size), np.full(size, 1 / len(self))

    @property
    def mass(self) -> float:
        """What share of a union's draws it has: each transition counts as a priority of 1."""
        return float(len(self))

    def settle(self, keys: np.ndarray, errors: np.ndarray) -> None:
        """Errors make no difference here."""
