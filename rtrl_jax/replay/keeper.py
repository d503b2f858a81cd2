"""Keeps what is replayed, in the environment's process: frames of the ring of observations, and the acts that refer to them.

A frame costs one copy for each decision that acts, about a microsecond. Of a frame that is wanted again, the last of one stack
and the middle of the next, the number is known, unless it is older than all that the row before refers to: so what rows refer
to never gets older, and what readers have lost is always what comes first.
"""

from rtrl_jax.board.records import TRUNCATED
from rtrl_jax.board.ring import ZERO_FRAME, Observations, Ring, Stacking
from rtrl_jax.pending import Pending
from rtrl_jax.replay.acts import Accounting, ActBuilder, how_it_ended


class Keeper:
    """The writer of `board.acts` and `board.kept`."""

    def __init__(
        self,
        board,
        stacking: Stacking = Stacking(),  # noqa: B008
        accounting: Accounting = Accounting(),  # noqa: B008
        pending: Pending = Pending(),  # noqa: B008
    ):
        self._acts, self._kept = board.acts, board.kept
        self._frames = Frames(board.observations, board.kept)
        self._builder = ActBuilder(self._frames.keep, stacking, accounting, pending)

    def tick(self, record, held: bool = False) -> None:
        """Takes in a `Tick`, whose observation has been published. Args: held: its decision began to act before."""
        rows = self._builder.tick(
            record.tick,
            None if record.is_default or held else int(record.obs_tick),
            record.episode_start,
            record.action,
            float(record.reward),
            how_it_ended(record.terminated, record.truncated),
        )
        for row in rows:
            self._acts.append(row)

    def cut(self, tick: int) -> None:
        """The episode goes no further than this tick, the newest, as nobody can go on with it."""
        row = self._builder.close(tick, TRUNCATED)
        if row is not None:
            self._acts.append(row)

    def save(self) -> dict:
        """What `restore` goes on from, plain values; the numbers of the next row and the next frame among them."""
        return {
            "head": self._acts.head,
            "kept": self._kept.head,
            "frames": self._frames.save(),
            **self._builder.save(),
        }

    def restore(self, saved: dict) -> None:
        self._builder.restore(saved)
        self._frames.restore(saved["frames"])


class Frames:
    """Copies observations into the ring of kept frames and knows their numbers."""

    def __init__(self, observations: Observations, kept: Ring):
        self._observations, self._kept = observations, kept
        self._numbers: dict[int, int] = {}  # by tick, rising; those that may still be named

    def keep(self, ticks: list[int], oldest: int) -> list[int] | None:
        """Numbers of the observations of these ticks among the kept frames, none less than `oldest`; None if one is gone."""
        numbers = self._numbers
        while numbers and numbers[first := next(iter(numbers))] < oldest:
            del numbers[first]
        for tick in ticks:
            if tick not in numbers:
                if tick != ZERO_FRAME and not self._observations.readable(tick):
                    return None
                numbers[tick] = self._kept.head
                frame = 0 if tick == ZERO_FRAME else self._observations.frames[tick % self._observations.capacity]
                self._kept.append(frame)
        return [numbers[tick] for tick in ticks]

    def save(self) -> list:
        return [[tick, number] for tick, number in self._numbers.items()]

    def restore(self, saved: list) -> None:
        self._numbers = {tick: number for tick, number in saved}
