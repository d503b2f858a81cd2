"""Processes that hammer a board from outside: `python hammer.py ROLE FILE SECONDS`, then the count of what they saw, as JSON."""

import json
import os
import sys
import time
from functools import partial

import numpy as np

from rtrl_jax.board import segment, snapshots
from rtrl_jax.board.layout import Board, Dimensions
from rtrl_jax.board.records import Tick
from rtrl_jax.board.ring import Stacking
from rtrl_jax.replay.index import Index
from rtrl_jax.replay.keeper import Keeper
from rtrl_jax.replay.transitions import Horizon
from rtrl_jax.workers.turns import Turns

SHAPES = [(257, 33), (4099,), (1,)]
LEAVES, SNAPSHOT_BYTES = snapshots.arrange([np.empty(shape, np.float32) for shape in SHAPES])
READERS = 3
LEARNERS = 3
DIMENSIONS = Dimensions(
    64,
    (84, 84, 1),
    "uint8",
    1,
    262,
    LEARNERS,
    READERS + 1,
    4,
    SNAPSHOT_BYTES,
    optimiser_bytes=SNAPSHOT_BYTES,
    transitions=50,
    kept_frames=60,
    frame_stack=2,
    action_dtype="float32",
    action_shape=(3,),
)


def attach(descriptor: int) -> Board:
    return Board(DIMENSIONS, segment.attach(descriptor))


def write_observations(board, until):
    """Frame and record of tick n are both full of n, each number of its action too."""
    observations = board.observations
    tick = 0
    while time.monotonic() < until:
        observations.publish(
            np.full((84, 84, 1), tick % 251, np.uint8),
            (
                tick,
                tick,
                tick,
                tick,
                tick,
                0,
                tick,
                float(tick),
                (tick, tick, tick),
                tick,
                tick,
                tick,
                0,
                0,
                0,
                0,
                tick,
                tick,
                True,
                False,
                False,
            ),
        )
        tick += 1
    return {"written": tick}


def read_observations(board, until):
    observations = board.observations
    rng = np.random.default_rng(os.getpid())
    seen = torn = gone = rows = 0
    while time.monotonic() < until:
        newest = observations.newest
        tick = newest - int(rng.integers(0, 63))  # up to the brink of what is being overwritten
        if tick < 0:
            continue
        frame = observations.stack(tick, Stacking())
        if frame is None:
            gone += 1
        else:
            seen += 1
            torn += bool((frame != tick % 251).any())
        first, records = observations.ticks.read(newest - 62)
        expected = np.arange(first, first + len(records))
        rows += len(records)
        for field in ("boundary_ns", "obs_tick", "reward", "playout"):
            torn += int((records[field] != expected).sum())
        torn += int((records["action"] != expected[:, None]).sum())
    return {"seen": seen, "torn": torn, "gone": gone, "rows": rows}


def write_acts(board, until):
    """Frame n is full of n modulo 251; the decision that acts in tick n is from observation n − 1, in episodes of all lengths."""
    keeper, rng, tick, start = Keeper(board), np.random.default_rng(0), 0, 0
    row = np.zeros((), board.observations.ticks.rows.dtype)
    while time.monotonic() < until:
        row["tick"], row["episode_start"], row["action"], row["reward"] = tick, start, tick, tick
        row["obs_tick"], row["is_default"] = tick - 1, tick == start
        row["terminated"] = tick > start and rng.random() < 0.1
        board.observations.publish(np.full((84, 84, 1), tick % 251, np.uint8), row)
        keeper.tick(Tick(*row.copy().item()))
        tick, start = tick + 1, tick + 1 if row["terminated"] else start
    return {"written": board.acts.head}


def read_acts(board, until):
    """Draws up to the brink of what is being overwritten, transitions of two decisions, each checked against what was written."""
    index, rng = Index(board.acts, Horizon(0.5, n=2)), np.random.default_rng(os.getpid())
    seen = torn = gone = 0
    while time.monotonic() < until:
        index.ingest()
        first = index.first
        if not len(index):
            continue
        keys = np.minimum(first + rng.integers(0, 20, 4), first + len(index) - 1)
        batch = index.gather(keys)
        if batch is None:
            gone += 1
            continue
        seen += 1
        now, then = batch.observation.astype(int), batch.next_observation.astype(int)
        torn += bool((batch.action != batch.action[:, :1]).any())
        acted = batch.action[:, 0].astype(int)
        tick = acted - 1  # that it was decided from, and so on
        behind = (now[:, 0, 0, 1] - now[:, 0, 0, 0]) % 251  # 0 at the beginning of an episode
        torn += bool((now != now[:, :1, :1]).any() or (then != then[:, :1, :1]).any())
        torn += bool((now[:, 0, 0, 1] != tick % 251).any() or (behind > 1).any())
        ahead = (then[:, 0, 0, 1] - tick) % 251  # two decisions later; one, if the episode ended with it
        one, two = acted, acted + (acted + 1) / 2
        torn += bool(((ahead != 2) & ((ahead != 1) | (batch.discount > 0) | (batch.reward != one))).any())
        torn += bool(((ahead == 2) & (np.abs(batch.reward - two) > 1e-6 * two)).any())
    return {"seen": seen, "torn": torn, "gone": gone}


def publish(board, until):
    """Every number of version v is v."""
    publisher, zeros = snapshots.Publisher(board, LEAVES, LEAVES), [np.zeros(shape, np.float32) for shape in SHAPES]
    version = published = 0
    while time.monotonic() < until:
        version += 1
        published += publisher.publish([np.full(shape, version, np.float32) for shape in SHAPES], version, zeros)
    return {"published": published}


def read_snapshots(board, until, process):
    reader = snapshots.Reader(board, process, lambda slot: snapshots.views(LEAVES, slot))
    seen = torn = backwards = last = 0
    while time.monotonic() < until:
        with reader.pinned() as (version, arrays):
            for _ in range(3):  # the slot must stay as it is for as long as it is pinned
                torn += any(bool((array != version).any()) for array in arrays)
            backwards += version < last
            last = version
            seen += 1
    return {"seen": seen, "torn": torn, "backwards": backwards}


def take_turns(board, until, learner, descriptor):
    """Adds one to every number of parameters and optimiser, in turn; a third copy of the version makes the target."""
    publisher = snapshots.Publisher(board, LEAVES, LEAVES)
    reader = snapshots.Reader(board, learner + 1, lambda slot: snapshots.views(LEAVES, slot))
    turns = Turns(board, partial(segment.exclusive, descriptor, segment.TURN), list(range(1, LEARNERS + 1)))
    board.ready[learner + 1] = 1

    def apply():
        with reader.pinned() as (version, arrays):
            moved = [array + 1 for array in arrays]
        return publisher.publish(moved, version + 1, [a + 1 for a in publisher.optimiser()], target=version % 5 == 0)

    applied = 0
    while time.monotonic() < until:
        if publisher.has_room():
            applied += bool(turns.take(learner, apply))
    return {"applied": applied}


if __name__ == "__main__":
    role, path, seconds, *rest = sys.argv[1:]
    file = os.open(path, os.O_RDWR)
    work = {f.__name__: f for f in (write_observations, read_observations, write_acts, read_acts)}
    work |= {f.__name__: f for f in (publish, read_snapshots)}
    work["take_turns"] = lambda *given: take_turns(*given, file)
    print(json.dumps(work[role](attach(file), time.monotonic() + float(seconds), *map(int, rest))))
