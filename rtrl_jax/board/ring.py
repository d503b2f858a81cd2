"""Rings with one writer and any number of readers, who never wait for each other."""

from typing import NamedTuple

import numpy as np

from rtrl_jax.pending import Seen


class Stacking(NamedTuple):
    """What the network sees at once: observation m, and those `stride`, 2 `stride`, … ticks before it."""

    depth: int = 1  # observations
    stride: int = 1  # ticks

    @property
    def reach(self) -> int:
        """How far back the oldest lies, in ticks."""
        return (self.depth - 1) * self.stride


class Ring:
    """The last `len(rows)` records of an endless sequence.

    The writer fills row `head % len(rows)` and only then advances `head`; nobody else writes either. A reader copies and
    then looks at `head` again: a row that the writer may meanwhile have begun to refill is dropped, so none is torn.
    """

    def __init__(self, head: np.ndarray, rows: np.ndarray):
        """Args: head: int64 [1], records written so far. rows: [n, ...], any dtype."""
        self._head, self.rows = head, rows

    @property
    def head(self) -> int:
        return int(self._head[0])

    def holds(self, number: int) -> bool:
        """Whether this record is there and not about to be refilled."""
        return self.head - len(self.rows) < number < self.head

    def append(self, record) -> None:
        head = int(self._head[0])
        self.rows[head % len(self.rows)] = record
        self._head[0] = head + 1

    def read(self, since: int, most: int | None = None) -> tuple[int, np.ndarray]:
        """Copies the records from number `since` on, as many as still exist.

        Returns:
          (first, records): the number of the first one copied, and a contiguous copy. `first > since` means that the
          records between were overwritten before they could be read.
        """
        length, head = len(self.rows), self.head
        stop = head if most is None else min(head, since + most)
        first = max(since, head - length + 1, 0)
        copied = self.rows.take(np.arange(first, stop) % length, axis=0)
        surviving = max(first, self.head - length + 1)
        return min(surviving, stop), copied[surviving - first :]


class Observations:
    """Ring of the newest observations, with the record of the tick that made each: what is acted on and shown."""

    def __init__(self, head: np.ndarray, ticks: np.ndarray, frames: np.ndarray):
        """Args: head: int64 [1]. ticks: TICK [capacity]. frames: [capacity, *observation shape]."""
        self.ticks = Ring(head, ticks)
        self.frames = frames
        self.capacity = len(frames)

    @property
    def newest(self) -> int:
        """Tick of the newest observation, -1 before the first."""
        return self.ticks.head - 1

    def count(self, unit: str, tick: int | None = None) -> int:
        """How far the run had come at `tick`, by default the newest.

        Args:
          unit: "tick", for the number of that tick, or "decision", for how many had acted by then.
          tick: one whose record is still kept; before the first, −1, nothing has acted.
        """
        tick = self.newest if tick is None else tick
        if unit == "tick" or tick < 0:
            return tick if unit == "tick" else 0
        return int(self.ticks.rows["decisions"][tick % self.capacity])

    def publish(self, frame: np.ndarray, tick_record) -> None:
        """Writer only: makes observation number `newest + 1` visible, frame first."""
        self.frames[self.ticks.head % self.capacity] = frame
        self.ticks.append(tick_record)

    def readable(self, tick):
        """Whether observation `tick` (a number or an array) is there and not about to be refilled."""
        newest = self.newest
        return (tick <= newest) & (tick > newest + 1 - self.capacity)

    def actions(self, first: int, last: int) -> np.ndarray:
        """Those in force in ticks `first` to `last`, [last + 1 − first]; of recent ones, which are still kept."""
        return self.ticks.rows["action"][np.arange(first, last + 1) % self.capacity]

    def told(self, pending, obs_tick: int, newest: int) -> np.ndarray | None:
        """What an agent is told that decides from `obs_tick` when `newest` is the newest tick, see `rtrl_jax.pending`.

        None if what it would be told was overwritten meanwhile. Ticks up to `newest` are whole: their writer, the environment's
        process, has published them, and writes in their places only after `capacity` more, which is looked at afterwards.
        """
        first, last = pending.span(obs_tick, newest, self.episode_start(obs_tick))
        actions = self.actions(first, last)
        return pending.padded(actions) if self.readable(min(first, obs_tick)) else None

    def playout(self, tick: int) -> int:
        """The delay D in force in a recent tick."""
        return int(self.ticks.rows["playout"][tick % self.capacity])

    def episode_start(self, tick: int) -> int:
        """The first tick of a recent tick's episode."""
        return int(self.ticks.rows["episode_start"][tick % self.capacity])

    def over(self, tick: int) -> bool:
        """Whether its episode ended with this observation, which is the newest or close to it."""
        row = self.ticks.rows[tick % self.capacity]
        return bool(row["terminated"] or row["truncated"])

    def stack(self, tick: int, stacking: Stacking) -> np.ndarray | None:
        """Copies observation `tick` with those before it that are seen with it, on the last axis, oldest first.

        Before the first observation of an episode stands that first observation, repeated. Returns None if any part
        of it has been overwritten.
        """
        if not self.readable(tick):
            return None
        start = self.episode_start(tick)
        wanted = stacked_ticks(tick, start, stacking)
        frames = self.frames[wanted % self.capacity]
        # Looked at again: the record that gave `start` and every frame must have been there throughout.
        if not (self.readable(tick) and self.readable(wanted[0])):
            return None
        return join_stack(frames, self.frames.ndim - 1)


class Acts:
    """Ring of the decisions that acted, and ring of the frames they refer to by number: the replay's storage.

    The writer keeps frames first and appends the rows that name them after; it names none older than the oldest that the row
    before names. A reader copies rows and frames and then looks at both heads again: what lies behind a head by a ring's
    length may have been refilled meanwhile, a number read from a torn row included, and is dropped.
    """

    def __init__(self, rows: Ring, frames: Ring, first: np.ndarray, capacity: int):
        """Args:
        rows: of `act_dtype`. frames: of observations, [n, *observation shape].
        first: int64 [1], the number of the first row that was ever there: those before it did not survive a checkpoint.
        capacity: rows that are read, fewer than there are.
        """
        self._rows, self._frames, self._first, self.capacity = rows, frames, first, capacity
        self.row_count, self.depth = len(rows.rows), rows.rows.dtype["frames"].shape[0]
        self._tells, self._reflex = (name in rows.rows.dtype.names for name in ("told", "newest"))

    @property
    def head(self) -> int:
        """Number of the next row."""
        return self._rows.head

    @property
    def first(self) -> int:
        """Number of the oldest row that may be read; its frames may be gone all the same."""
        return max(int(self._first[0]), self._rows.head - self.capacity)

    def append(self, row) -> None:
        """Writer only, once the frames that the row names are kept."""
        self._rows.append(row)

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Copies of rows, whoever lies there now."""
        return self._rows.rows[numbers % self.row_count]

    def frames(self, numbers: np.ndarray) -> np.ndarray:
        """Copies of kept frames, whichever lie there now."""
        return self._frames.rows[numbers % len(self._frames.rows)]

    def stacks(self, numbers: np.ndarray) -> np.ndarray:
        """The same, joined along the last axis: [..., depth] -> [..., *shape, depth * c]."""
        return join_stack(self.frames(numbers), self._frames.rows.ndim - 1)

    def seen(self, rows: np.ndarray, of: str = ""):
        """What was decided from, or with `of="next_"` what is led to: [B, *shape, depth * c], with `Seen` if actions are told."""
        stacks = self.stacks(rows[f"{of}frames"])
        if not self._tells:
            return stacks
        return Seen(stacks, rows[f"{of}told"].copy(), self.stacks(rows[f"{of}newest"]) if self._reflex else None)

    def oldest_safe(self, end: int, margin: int) -> int:
        """The first act before `end` whose row and frames are there, and stay so while `margin` more are written; else `end`.

        What comes before it is older in everything.
        """
        low, high = self.first, max(self.first, end)
        while low < high:
            middle = (low + high) // 2
            number = np.array([middle])
            there = bool(self.survive(number, self.rows(number), margin)[0])
            low, high = (low, middle) if there else (middle + 1, high)
        return low

    def survive(self, numbers, rows, margin: int = 0) -> np.ndarray:
        """Which of the rows with these numbers that were copied earlier are whole and had, until now, all their frames.

        Args: margin: rows, and frames for each, that may be overwritten meanwhile.
        """
        oldest = rows["frames"].min(axis=-1)
        if self._reflex:
            oldest = np.minimum(oldest, rows["newest"].min(axis=-1))
        return (numbers > self._rows.head - self.row_count + margin) & (
            oldest > self._frames.head - len(self._frames.rows) + margin * self.depth
        )


ZERO_FRAME = -1  # as a tick: all zeros stands for its observation


class ZeroFramesFirst:
    """Observations of which those of before the newest one's episode are zero frames.

    For one process, in which no observation is made while one is asked for.
    """

    def __init__(self, observations: Observations):
        self._observations = observations

    def stack(self, tick: int, stacking: Stacking) -> np.ndarray | None:
        """As `Observations.stack`."""
        observations = self._observations
        newest = observations.newest
        if tick >= observations.ticks.rows["episode_start"][newest % observations.capacity]:
            return observations.stack(tick, stacking)
        return np.zeros_like(observations.stack(newest, stacking))


def stacked_ticks(tick, episode_start, stacking: Stacking) -> np.ndarray:
    """Ticks of the frames that make up what is seen at `tick`: [..., depth], oldest first; none before the episode's first."""
    back = np.arange(stacking.depth - 1, -1, -1) * stacking.stride
    return np.maximum(np.asarray(tick)[..., None] - back, np.asarray(episode_start)[..., None])


def join_stack(frames: np.ndarray, observation_ndim: int) -> np.ndarray:
    """Joins frames along the last axis: [..., depth, *shape, c] -> [..., *shape, depth * c], oldest first."""
    beside = np.moveaxis(frames, frames.ndim - observation_ndim - 1, -2)
    return np.ascontiguousarray(beside.reshape(*beside.shape[:-2], -1))
