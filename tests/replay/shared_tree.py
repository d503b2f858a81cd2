"""A small ring and the sum tree over it; and their writer in another process: `python shared_tree.py FILE settles|scribbles`."""

import mmap
import os
import sys
import time

import numpy as np

from rtrl_jax.board.records import act_dtype
from rtrl_jax.board.ring import Acts, Ring
from rtrl_jax.replay.prioritised import PrioritisedReplay
from rtrl_jax.replay.sum_tree import SumTree, nodes_for
from rtrl_jax.replay.transitions import Horizon

CAPACITY, SECONDS = 50, 1.5
ROWS = CAPACITY + 4
WIDE = 500  # rows of the ring in the file


def ring(rows=ROWS):
    return joined(np.zeros(2, np.int64), np.zeros(rows, act_dtype(1)), np.zeros((rows + 4, 1), np.float32))


def joined(heads, rows, frames):
    acts = Acts(Ring(heads[:1], rows), Ring(heads[1:], frames), np.zeros(1, np.int64), len(rows) - 4)
    acts.kept = Ring(heads[1:], frames)
    return acts


def publish(acts, count):
    """Act n was decided from frame n, which is n, and leads to frame n + 1; its action is n."""
    for _ in range(count):
        n = acts.head
        while acts.kept.head < n + 2:
            acts.kept.append(np.float32(acts.kept.head))
        acts.append(([n], [n + 1], n, n - 1, 1.0, n, 1, 0))


class Shared:
    """The arrays that learners share."""

    def __init__(self, rows=ROWS):
        self.nodes, self.most, self.entered = np.zeros(nodes_for(rows)), np.zeros(1), np.zeros(1, np.int64)

    def replay(self, acts, **settings):
        horizon = Horizon(0.9, n=settings.pop("n", 1))
        return PrioritisedReplay(acts, horizon, self.nodes, self.most, self.entered, **settings)

    def leaf(self, key):
        return SumTree(self.nodes).get(key % ROWS)


def attach(path):
    """The ring and the shared arrays that lie in the file."""
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    shared, at = Shared(WIDE), [0]

    def array(shape, dtype):
        found = np.ndarray(shape, dtype, memory, at[0])
        at[0] += -(-found.nbytes // 64) * 64
        return found

    acts = joined(array(2, np.int64), array(WIDE, act_dtype(1)), array((WIDE + 4, 1), np.float32))
    shared.nodes, shared.most = array(len(shared.nodes), np.float64), array(1, np.float64)
    shared.entered = array(1, np.int64)
    return acts, shared


def main(path, role):
    acts, shared = attach(path)
    replay, rng = shared.replay(acts, n=3), np.random.default_rng(os.getpid())
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        publish(acts, int(rng.integers(1, 20)))
        replay.ingest()
        if role == "scribbles":
            some = rng.integers(0, len(shared.nodes), 50)
            shared.nodes[some] = rng.choice([0.0, 1.0, 1e9, -1.0, np.nan], 50)
        else:
            keys = replay.sample_with_keys(rng, 16)[1] if len(replay) else np.empty(0, np.int64)
            replay.settle(keys, rng.random(len(keys)))
        time.sleep(0.001)
    print(acts.head)


if __name__ == "__main__":
    main(*sys.argv[1:])
