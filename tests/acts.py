"""Acts and transitions for tests: made of a record of ticks by the real state machine, and read by the real index."""

import mmap

import numpy as np

from rtrl_jax.board.layout import Board, Dimensions, size
from rtrl_jax.board.records import TICK, Tick, act_dtype
from rtrl_jax.board.ring import Acts, Ring, Stacking
from rtrl_jax.replay.acts import Accounting, ActBuilder, how_it_ended
from rtrl_jax.replay.index import Index
from rtrl_jax.replay.keeper import Keeper
from rtrl_jax.replay.transitions import Horizon


def as_tick(row) -> Tick:
    return Tick(*row.item())


def acts_of(ticks, depth=1, stride=1, **how):
    """Rows of `act_dtype`; the number of a frame is its tick. Args: how: see `Accounting`."""
    builder, found = ActBuilder(lambda ticks, oldest: ticks, Stacking(depth, stride), Accounting(**how)), []
    for row in map(as_tick, ticks):
        obs_tick = None if row.is_default else row.obs_tick
        ended = how_it_ended(row.terminated, row.truncated)
        found += builder.tick(row.tick, obs_tick, row.episode_start, row.action, row.reward, ended)
    return np.array(found, act_dtype(depth)) if found else np.zeros(0, act_dtype(depth))


def as_ring(rows, frames):
    """Rows with all frames, in rings that have room for them."""
    room = [np.concatenate([part, np.zeros_like(part, shape=(1, *part.shape[1:]))]) for part in (rows, frames)]
    heads = np.array([[len(rows)], [len(frames)], [0]])
    return Acts(Ring(heads[0], room[0]), Ring(heads[1], room[1]), heads[2], len(rows))


def transitions(ticks, horizon, **how):
    """(obs_tick, next_tick, action, reward, discount, apply_tick) of all that are complete."""
    rows = acts_of(ticks, discount=horizon.within_span, **how)
    index = Index(as_ring(rows, np.arange(len(ticks) + 1.0)[:, None]), horizon)
    index.ingest()
    keys = index.since(0)
    if not len(keys):
        return []
    batch = index.gather(keys)
    columns = batch.observation[:, 0], batch.next_observation[:, 0], batch.action, batch.reward, batch.discount
    return list(zip(*(column.tolist() for column in (*columns, rows["apply_tick"][keys])), strict=True))


class Played:
    """A board on which a test publishes ticks: frame n is full of n, and its acts are kept.

    The action of tick n is n modulo 100 and its reward n, unless told otherwise.
    """

    def __init__(
        self, transitions=64, shape=(1,), dtype="float32", *, depth=1, stride=1, kept_frames=None, capacity=256, **how
    ):
        dimensions = Dimensions(
            capacity,
            shape,
            dtype,
            1,
            262,
            1,
            2,
            1,
            64,
            transitions=transitions,
            kept_frames=transitions + 64 if kept_frames is None else kept_frames,
            frame_stack=depth,
        )
        self.board = Board(dimensions, mmap.mmap(-1, size(dimensions)))
        self.stacking = Stacking(depth, stride)
        self.keeper = Keeper(self.board, self.stacking, Accounting(**how))
        self.acts = self.board.acts

    def publish(
        self,
        tick,
        obs_tick,
        episode_start=0,
        *,
        reward=None,
        action=None,
        terminated=False,
        truncated=False,
        frame=None,
    ):
        """Args: obs_tick: of the decision that acts in it; less than 0 if none does. frame: in place of its own."""
        row = np.zeros((), TICK)
        row["tick"], row["obs_tick"], row["episode_start"] = tick, obs_tick, episode_start
        row["is_default"], row["reward"] = obs_tick < 0, tick if reward is None else reward
        row["action"] = tick % 100 if action is None else action
        row["terminated"], row["truncated"] = terminated, truncated
        frames = self.board.frames
        full = np.full(frames.shape[1:], tick % 251, frames.dtype)
        self.board.observations.publish(full if frame is None else frame, row)
        self.keeper.tick(as_tick(row))


def horizon(gamma=0.9, **how):
    return Horizon(gamma, **how)
