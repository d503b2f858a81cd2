"""A small ring and the sum tree over it; and their writer in another process: `python shared_tree.py FILE settles|scribbles`."""

import mmap
import os
import sys
import time

import numpy as np

from rtrl_jax.board.records import TICK
from rtrl_jax.board.ring import Observations
from rtrl_jax.replay.prioritised import PrioritisedReplay
from rtrl_jax.replay.sum_tree import SumTree, nodes_for
from rtrl_jax.replay.transitions import TransitionBuilder

CAPACITY, SECONDS = 50, 1.5
WIDE = 500  # capacity of the ring in the file


def ring(capacity=CAPACITY):
    return Observations(np.zeros(1, np.int64), np.zeros(capacity, TICK), np.zeros((capacity, 1), np.float32))


def publish(observations, ticks, delay=1):
    """Frame n is n and so is the action of tick n; every tick is acted in."""
    for _ in range(ticks):
        tick = observations.newest + 1
        row = np.zeros((), TICK)
        row["tick"], row["action"], row["reward"] = tick, tick, 1
        row["obs_tick"], row["is_default"] = (tick - delay, False) if tick >= delay else (-1, True)
        observations.publish(np.float32(tick), row)


class Shared:
    """The arrays that learners share."""

    def __init__(self, capacity=CAPACITY):
        self.nodes, self.most, self.entered = np.zeros(nodes_for(capacity)), np.zeros(1), np.zeros(1, np.int64)

    def replay(self, observations, **settings):
        builder = TransitionBuilder(0.9, n=settings.pop("n", 1))
        return PrioritisedReplay(observations, builder, 1, self.nodes, self.most, self.entered, **settings)

    def leaf(self, key):
        return SumTree(self.nodes).get(key % CAPACITY)


def attach(path):
    """The ring and the shared arrays that lie in the file."""
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    shared, at = Shared(WIDE), [0]

    def array(shape, dtype):
        found = np.ndarray(shape, dtype, memory, at[0])
        at[0] += -(-found.nbytes // 64) * 64
        return found

    observations = Observations(array(1, np.int64), array(WIDE, TICK), array((WIDE, 1), np.float32))
    shared.nodes, shared.most = array(len(shared.nodes), np.float64), array(1, np.float64)
    shared.entered = array(1, np.int64)
    return observations, shared


def main(path, role):
    observations, shared = attach(path)
    replay, rng = shared.replay(observations, n=3), np.random.default_rng(os.getpid())
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        publish(observations, int(rng.integers(1, 20)))
        replay.ingest()
        if role == "scribbles":
            some = rng.integers(0, len(shared.nodes), 50)
            shared.nodes[some] = rng.choice([0.0, 1.0, 1e9, -1.0, np.nan], 50)
        else:
            keys = replay.sample_with_keys(rng, 16)[1] if len(replay) else np.empty(0, np.int64)
            replay.settle(keys, rng.random(len(keys)))
        time.sleep(0.001)
    print(observations.newest)


if __name__ == "__main__":
    main(*sys.argv[1:])
