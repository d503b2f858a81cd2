"""Several replays sampled as one: uniformly over all their transitions."""

import numpy as np

from rtrl_jax.agents.agent import Batch


class UnionReplay:
    def __init__(self, parts):
        """Args: parts: replays with ingest, sample, ingested and a length."""
        self._parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    @property
    def ingested(self) -> int:
        return sum(part.ingested for part in self._parts)

    def ingest(self) -> None:
        for part in self._parts:
            part.ingest()

    def sample_with_keys(self, rng, size):
        return self.sample(rng, size), None

    def settle(self, keys, errors):
        pass

    def sample(self, rng: np.random.Generator, size: int) -> Batch:
        """A batch drawn uniformly, with replacement. Raises ValueError while all parts are empty."""
        lengths = np.array([len(part) for part in self._parts])
        if not lengths.sum():
            raise ValueError("the replay is empty")
        counts = rng.multinomial(size, lengths / lengths.sum())
        batches = [part.sample(rng, int(count)) for part, count in zip(self._parts, counts, strict=True) if count]
        return Batch(*(np.concatenate(columns) for columns in zip(*batches, strict=True)))
