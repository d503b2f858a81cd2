"""Prioritised sampling (Schaul et al. 2016) with priorities in shared memory: every learner draws, the one with the turn writes.

Each process has an index of its own, and a transition has the same leaf in all: its key modulo the number of rows there are.
"""

import numpy as np

from rtrl_jax.agents.agent import Batch
from rtrl_jax.board.ring import Acts
from rtrl_jax.replay.index import Index
from rtrl_jax.replay.sum_tree import SumTree
from rtrl_jax.replay.transitions import Horizon

EPSILON = 1e-6  # so that an error of zero can still be drawn
TRIES = 4


def importance_weights(relative: np.ndarray, exponent: float) -> np.ndarray:
    """float32 [n], the largest 1. Args: relative: probabilities times the number of transitions. exponent: β."""
    weight = relative**-exponent
    return (weight / weight.max()).astype(np.float32)


class PrioritisedReplay:
    def __init__(
        self,
        acts: Acts,
        horizon: Horizon,
        tree_nodes: np.ndarray,
        most: np.ndarray,
        entered: np.ndarray,
        exponent: float = 0.2,
        importance: float = 0.6,
    ):
        """The three arrays may be shared, and are zero at first.

        Args:
          tree_nodes: float64 [nodes_for(acts.row_count)], the sum tree.
          most: float64 [1], the largest priority so far; 1 stands in for 0.
          entered: int64 [1], transitions of acts before this one have been given a priority.
          exponent: α, of the errors.
          importance: β, of the weights that correct for it.
        """
        self._index = Index(acts, horizon)
        self._tree, self._most, self._entered = SumTree(tree_nodes), most, entered
        self._exponent, self._importance = exponent, importance
        self._cleared = 0  # this process has cleared the leaves of all keys before

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
        return {"index": self._index.state(), "cleared": self._cleared}

    def restore(self, saved: dict) -> None:
        """In place of taking in all there is."""
        self._index.restore(saved["index"])
        self._cleared = saved["cleared"]

    def sample(self, rng: np.random.Generator, size: int) -> Batch:
        """A batch drawn by priority, with importance weights of which the largest is 1. Raises ValueError while empty."""
        return self.sample_with_keys(rng, size)[0]

    def sample_with_keys(self, rng: np.random.Generator, size: int) -> tuple[Batch, np.ndarray]:
        """The same, with the transitions' keys [size] for `settle`."""
        batch, keys, probabilities = self.sample_with_probabilities(rng, size)
        return batch._replace(weight=importance_weights(len(self) * probabilities, self._importance)), keys

    def sample_with_probabilities(self, rng: np.random.Generator, size: int) -> tuple[Batch, np.ndarray, np.ndarray]:
        """The same with weights 1, and the probabilities [size] that each was drawn with."""
        while True:
            keys, probabilities = self._draw(rng, size)
            if (batch := self._index.gather(keys)) is not None:
                return batch, keys, probabilities
            self._index.drop_overwritten()

    @property
    def mass(self) -> float:
        """The sum of its priorities: what share of a union's draws it has. Before any was given, what they will be."""
        return (self._tree.total or len(self) * (float(self._most[0]) or 1.0)) if len(self) else 0.0

    def _draw(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys and their probabilities.

        The tree may be changing, hold transitions that have not come to this index yet, or hold none. Whatever it gives is
        checked against the index; what it cannot give in some tries is drawn uniformly.
        """
        keys = self._index.draw(rng, size)
        probabilities = np.full(size, 1 / len(self))
        missing, strata = np.arange(size), np.arange(size)
        for _ in range(TRIES):
            total = self._tree.total
            leaves = self._tree.find((strata + rng.random(len(missing))) * (total / size))
            priorities, found = self._tree.get(leaves), self._index.key_at(leaves % self._index.leaves)
            good = (priorities > 0) & (total > 0) & (found >= 0) & self._index.holds(found)
            keys[missing[good]], probabilities[missing[good]] = found[good], priorities[good] / total
            missing = missing[~good]
            if not len(missing):
                break
            strata = rng.integers(0, size, len(missing))  # the rest is drawn anew over the whole
        return keys, probabilities

    def settle(self, keys: np.ndarray, errors: np.ndarray) -> None:
        """Only while holding the turn: enters new transitions, clears overwritten ones, notes the errors of a batch.

        Args: keys: int64 [n], of `sample_with_keys`. errors: [n], their sizes. Both may be empty.
        """
        entered, count = int(self._entered[0]), self._index.leaves
        self._index.drop_overwritten()
        new = self._index.since(entered)
        # Leaves of before entered - count have been cleared in their time, and may have been taken since.
        gone = np.arange(max(0, entered - count, self._cleared), min(entered, self._index.first))
        self._cleared = max(self._cleared, min(entered, self._index.first))
        keys, errors = np.asarray(keys, np.int64), np.asarray(errors, np.float64)
        held = self._index.holds(keys)
        priorities = (errors[held] + EPSILON) ** self._exponent
        largest = float(self._most[0]) or 1.0

        leaves = np.concatenate([gone, new, keys[held]]) % count
        self._tree.set(leaves, np.concatenate([np.zeros(len(gone)), np.full(len(new), largest), priorities]))
        self._most[0] = max(largest, priorities.max(initial=0.0))
        if len(new):
            self._entered[0] = new[-1] + 1
