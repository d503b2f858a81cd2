"""Ticket staggering with playout (ours): observations are handed to idle workers, answers act at a constant delay.

Dispatch: at each boundary an idle worker gets a ticket for one observation, each observation going out once. Playout, as
a jitter buffer plays out packets: the decision from observation n is due at boundary n + D. Nobody sleeps on an estimate,
a dead worker gets no tickets, and an outlier costs one action.

All times here are whole ticks: from the boundary where a ticket was handed out to the one where its answer was there.
"""

from collections.abc import Iterable

import numpy as np

from rtrl_jax import theory

QUANTILE = 0.995  # of the times that answers take: D
LONGEST = 8192  # ticks; what takes longer counts as this
LOOK_EVERY = 16  # answers between two looks at what has been learnt; one that comes after D is looked at at once
FORGET_EVERY = 4096  # answers after which the past counts half
ENOUGH = 0.95  # of N*: with a twentieth less, holding observations back loses more than it evens out
QUICKEST = 0.01  # of the answers: the quantile that too few workers are paced by
# Answers that stand apart, taking so many times as long as all the others or longer, are outliers while there are no more
# than so many of them, nor more than such a share. With full evidence the quantile alone decides: it leaves more than FEW out.
APART, FEW, FEW_SHARE = 2, 10, 1 / 8


def playout_for(tau_ticks: np.ndarray, quantile: float = QUANTILE) -> int:
    """The constant delay D that tickets come to have with such inference times. Args: tau_ticks: τ_θ/τ_M, float64 [samples]."""
    return int(np.quantile(np.maximum(theory.ticks_of(tau_ticks, 1.0), 1), quantile, method="inverted_cdf"))


class Ticket:
    before_episodes = 0  # nothing is decided from what is older than the episode

    def __init__(
        self,
        workers: int,
        *,
        playout: int | None = None,
        quantile: float = QUANTILE,
        exploring_counts: bool = False,
        waits: bool = False,
        every: int = 1,
    ):
        """Args:
        playout: D in ticks; None for a quantile of the time a network's answer takes; 0 for none.
        exploring_counts: whether exploratory answers are made like the network's, and take as long.
        waits: whether a worker is occupied until its answer acts, as by a late head.
        every: of an episode's observations only each so many-th is handed out, or the next one for which a worker is free.
        """
        self._waits, self._every = waits, every
        self._exploring_counts = exploring_counts
        self._workers = workers
        self._auto = playout is None
        self.playout = playout or 0  # D in force; 0: an answer acts when it comes
        self._quantile = quantile
        self._network = np.zeros(LONGEST + 1)  # answers that needed the network, by ticks taken
        self._count, self._total = 0.0, 0.0  # of all answers
        self._answers = 0
        self._quickest = 1
        self._next = 0  # oldest observation not handed out
        self._credit = 1.0

    @property
    def mean_ticks(self) -> float:
        """E⌈τ/τ_M⌉ over all answers, which is N*; 1 before the first."""
        return self._total / self._count if self._count else 1.0

    def warm_up(self, ticks: Iterable[int]) -> None:
        """Answers of the network before the start, all at once: D follows from them together, not from the first."""
        for taken in ticks:
            self._count_in(taken, used_network=True, needed=taken)
        self._look()

    def observe(self, ticks: int, used_network: bool, needed: int | None = None) -> None:
        """An answer took `ticks` ticks. Exploratory ones count for N*, not for D, unless they take the network's time.

        Args: needed: as many of these ticks as it would have taken without waiting for a late head's moment, which say what D
          has to be; N* follows from all, in which its worker was occupied. None: it did not wait.
        """
        used_network = used_network or self._exploring_counts
        needed = ticks if needed is None else needed
        self._count_in(ticks, used_network, needed)
        late = self._auto and used_network and needed > self.playout
        if late or self._answers % LOOK_EVERY == 0:
            self._look()

    def save(self) -> dict:
        """What it has learnt of answer times and where it stands, as plain values."""
        met = np.flatnonzero(self._network)
        return {
            "network": [[int(ticks), float(self._network[ticks])] for ticks in met],
            "count": self._count,
            "total": self._total,
            "answers": self._answers,
            "playout": self.playout,
            "quickest": self._quickest,
            "next": self._next,
            "credit": self._credit,
        }

    def restore(self, saved: dict, next_tick: int | None = None) -> None:
        """Args: next_tick: the first observation it may hand out; None: it goes on as if nothing had happened."""
        self._network[:] = 0
        for ticks, weight in saved["network"]:
            self._network[ticks] = weight
        self._count, self._total, self._answers = saved["count"], saved["total"], saved["answers"]
        if next_tick is None:
            self.playout, self._quickest = saved["playout"], saved["quickest"]
            self._next, self._credit = saved["next"], saved["credit"]
            return
        self._look()
        self.playout = saved["playout"] if self._auto else self.playout
        self._next = next_tick

    def _count_in(self, ticks: int, used_network: bool, needed: int) -> None:
        ticks, needed = min(max(1, ticks), LONGEST), min(max(1, needed), LONGEST)
        self._count += 1
        self._total += ticks
        self._answers += 1
        if used_network:
            self._network[needed] += 1
        if self._answers % FORGET_EVERY == 0:
            self._network /= 2
            self._count, self._total = self._count / 2, self._total / 2

    def _look(self) -> None:
        within = np.cumsum(self._network)
        exploratory = self._count - within[-1]  # these take a tick
        self._quickest = max(1, int(np.argmax(exploratory + within > QUICKEST * self._count)))
        if self._auto and within[-1]:
            self._revise(within[-1], within[-1] - within)

    def _revise(self, answers: float, late: np.ndarray) -> None:
        """Args: late: of the `answers`, by D, how many would come later."""
        allowed = (1 - self._quantile) * answers
        wanted = int(np.argmax(late <= allowed))
        usual = int(np.argmax(late <= min(FEW, FEW_SHARE * answers)))
        if self._waits and (affordable := self._affordable(late[: wanted + 1] / answers)) < wanted:
            self.playout = affordable
        elif wanted >= APART * usual:
            self.playout = usual
        # Down only when there is room to spare, so that D does not flicker between two values.
        elif wanted > self.playout or late[wanted] <= allowed / 2:
            self.playout = wanted

    def _affordable(self, late: np.ndarray) -> int:
        """D with the fewest ticks left to β where N workers are occupied for D ticks each: they act in N of them, or N times as
        many as an action is held. A late answer is counted as none.

        Args: late: by D, the share of answers that would come later.
        """
        delays = np.maximum(1, np.arange(len(late)))
        return int(np.argmin(late + np.maximum(0, 1 - self._workers * self._every / delays)))

    def dispatch(self, tick: int, idle: list[int], oldest: int = 0) -> list[tuple[int, int]]:
        """Hands out observations at boundary `tick`.

        Args:
          tick: the newest observation.
          idle: workers without a ticket, in the order they should be served.
          oldest: the first observation that is still of use (the start of the episode).

        Returns:
          (worker, observation) pairs.
        """
        if self._every > 1:
            return self._seldom(tick, idle, oldest)
        if self._workers < ENOUGH * self.mean_ticks:
            return self._paced(tick, idle)
        # With mean_ticks to go, an observation older than this would probably miss its boundary.
        in_time = tick - max(0, int(self.playout - np.ceil(self.mean_ticks)))
        self._next = max(self._next, oldest, in_time)
        given = []
        for worker in idle:
            if self._next > tick:
                break
            given.append((worker, self._next))
            self._next += 1
        return given

    def _seldom(self, tick: int, idle: list[int], oldest: int) -> list[tuple[int, int]]:
        """The newest observation, once for each `every` ticks of the episode; `_next` is the first of those not served."""
        since = tick - (tick - oldest) % self._every
        if not idle or since < self._next:
            return []
        self._next = since + 1
        return [(idle[0], tick)]

    def _paced(self, tick: int, idle: list[int]) -> list[tuple[int, int]]:
        """Too few workers for every observation: the newest, to one idle worker at a time, so that answers come evenly.

        The distance is what N workers would keep that always answer as quickly as they ever do. An idle worker is then held
        back where answers would come in a bunch, and seldom else: work lost by waiting is lost for good.
        """
        each_tick = self._workers / min(self.mean_ticks, self._quickest)
        self._credit = min(self._credit, 1.0) + each_tick
        if not idle or self._credit < 1.0:
            return []
        self._credit -= 1.0
        self._next = tick + 1
        return [(idle[0], tick)]
