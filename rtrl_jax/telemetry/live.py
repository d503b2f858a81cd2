"""The last few seconds of a run, for whoever watches: the terminal and TensorBoard."""

import numpy as np

from rtrl_jax.board.records import OUTCOME, TICK, UPDATE, begins
from rtrl_jax.telemetry.summary import episode_returns, statistics

WINDOW_S = 5.0
MOST_RECORDS = 20_000  # in the window, of each kind
MOST_INACTIVE = 0.9  # of the hidden units, before somebody is told
INACTIVE = ("inactive", "inactive_channels")


class Window:
    """Keeps recent records and what must be known of all: how many there were, and the returns."""

    def __init__(self):
        self._recent = {"ticks": np.empty(0, TICK), "decisions": np.empty(0, OUTCOME), "updates": np.empty(0, UPDATE)}
        self._stamps = {
            "ticks": lambda rows: rows["boundary_ns"],
            "decisions": lambda rows: rows["decision"]["end_ns"],
            "updates": lambda rows: rows["end_ns"],
        }
        self._inactive: dict[str, float] = {}  # the newest shares that were measured, maybe before the window
        self.ticks = self.updates = 0
        self.returns: list[float] = []  # of finished episodes
        self.ends: list[int] = []  # the ticks they ended at
        self.episode_return = 0.0  # of the one in progress
        self._warned: set[str] = set()
        self._warnings: list[str] = []

    def add(self, news: dict[str, np.ndarray]) -> None:
        """Args: news: new records by kind, as `Recorder.drain` returns them."""
        newest = max(
            (int(stamp(news[kind]).max()) for kind, stamp in self._stamps.items() if len(news[kind])), default=0
        )
        for kind, stamp in self._stamps.items():
            before = self._recent[kind]  # none at first, and then of no known kind of action
            rows = (np.concatenate([before, news[kind]]) if len(before) else news[kind])[-MOST_RECORDS:]
            self._recent[kind] = rows[stamp(rows) > newest - WINDOW_S * 1e9]
        self.ticks += len(news["ticks"])
        self.updates += len(news["updates"])
        self._add_returns(news["ticks"])
        self._check_learning(news["updates"])

    def _check_learning(self, updates: np.ndarray) -> None:
        self._warn(
            updates[updates["inactive"] > MOST_INACTIVE],
            "{inactive:.0%} of the hidden units are inactive in update {applied_version}: no gradient passes through them",
        )
        for name in INACTIVE:
            measured = updates[name][~np.isnan(updates[name])]
            if len(measured):
                self._inactive[name] = float(measured[-1])

    def _warn(self, updates: np.ndarray, words: str) -> None:
        """Args: updates: those that it is true of. words: with the names of columns for their values."""
        if len(updates) and words not in self._warned:
            self._warned.add(words)
            first = {name: updates[name][0] for name in updates.dtype.names}
            self._warnings.append(f"warning: {words.format(**first)}")

    def warnings(self) -> list[str]:
        """Lines about what has gone wrong with the numbers since the last call; each kind is told once in a run."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _add_returns(self, ticks: np.ndarray) -> None:
        finished = episode_returns(ticks)
        if len(finished):
            self.ends += ticks["tick"][ticks["terminated"] | ticks["truncated"]].tolist()
            finished[0] += self.episode_return
            self.returns += finished.tolist()
            after = int(np.flatnonzero(ticks["terminated"] | ticks["truncated"])[-1]) + 1
            self.episode_return, ticks = 0.0, ticks[after:]
        self.episode_return += float(ticks["reward"].sum())

    def figures(self) -> dict:
        """`summary.statistics` of the window, all of which is its end."""
        found = statistics(self._recent["ticks"], self._recent["decisions"], self._recent["updates"], last=1.0)
        found["learning"] |= self._inactive
        return found

    def delays(self) -> np.ndarray:
        """Of the actions in the window, in ticks."""
        acting = self._recent["ticks"][begins(self._recent["ticks"])]
        return acting["tick"] - acting["obs_tick"]
