"""Several replays sampled as one: each in proportion to the priorities of its transitions, or to their number."""

import numpy as np

from rtrl_jax.agents.agent import Batch
from rtrl_jax.replay.prioritised import importance_weights


class UnionReplay:
    def __init__(self, parts, importance: float = 0.0):
        """Args: parts: replays, all uniform or all prioritised. importance: β, of the weights, over the whole batch."""
        self._parts, self._importance = parts, importance

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    @property
    def ingested(self) -> int:
        return sum(part.ingested for part in self._parts)

    def ingest(self) -> None:
        for part in self._parts:
            part.ingest()

    def state(self) -> list[dict]:
        """How far each part has come."""
        return [part.state() for part in self._parts]

    def restore(self, saved: list[dict]) -> None:
        for part, its in zip(self._parts, saved, strict=True):
            part.restore(its)

    def sample(self, rng: np.random.Generator, size: int) -> Batch:
        """A batch with replacement. Raises ValueError while all parts are empty."""
        return self.sample_with_keys(rng, size)[0]

    def sample_with_keys(self, rng: np.random.Generator, size: int) -> tuple[Batch, np.ndarray]:
        """The same, with keys [size] for `settle`: a part's own key times the number of parts, plus the part's number."""
        masses = np.array([part.mass for part in self._parts])
        if not masses.sum():
            raise ValueError("the replay is empty")
        shares = masses / masses.sum()
        counts = rng.multinomial(size, shares)
        parts = zip(self._parts, counts, strict=True)
        batches, keys, within = zip(
            *[part.sample_with_probabilities(rng, int(n)) for part, n in parts if n], strict=True
        )
        numbers = np.repeat(np.arange(len(self._parts)), counts)
        relative = len(self) * np.concatenate(within) * shares[numbers]
        batch = _joined(batches)._replace(weight=importance_weights(relative, self._importance))
        return batch, np.concatenate(keys) * len(self._parts) + numbers

    def settle(self, keys: np.ndarray, errors: np.ndarray) -> None:
        """Gives each part the errors of the transitions that it brought."""
        keys, errors = np.asarray(keys, np.int64), np.asarray(errors)
        for number, part in enumerate(self._parts):
            its = keys % len(self._parts) == number
            part.settle(keys[its] // len(self._parts), errors[its])


def _joined(batches):
    """Batches one after another; a column may be left out of all, or have columns of its own."""
    if batches[0] is None:
        return None
    if isinstance(batches[0], np.ndarray):
        return np.concatenate(batches)
    return type(batches[0])(*(_joined(columns) for columns in zip(*batches, strict=True)))
