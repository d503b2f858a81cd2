"""Rehearsals: inferences whose outcome is thrown away, made just before a ticket can come, so that it finds warm caches.

A worker that sleeps until its ticket comes finds its code and parameters evicted, by the learner above all: its inference then
takes two to five times as long as the next one would. A core that is the worker's own has nothing better to do. A rehearsal is
no inference: it is in no record, and not in τ_θ; the board says how many there were and what they took.
"""

import math
import time
from collections import deque
from collections.abc import Callable

from rtrl_jax import stagger

MOST = 8  # before a boundary, about: with a learner beside it the first few are still slow
LONGEST_NS = 4_000_000  # that all of them take, and
MOST_OF_A_TICK = 0.25
MARGIN_NS = 200_000  # before a ticket can come by which they are to be over
REMEMBERED, RARELY_LONGER = (
    16,
    0.75,
)  # of those so many times, what so many stayed below: how long one is expected to take

now_ns = time.monotonic_ns


class Rehearsals:
    """Of one worker, which alone has its core. To be asked while it waits for its bell."""

    def __init__(self, once: Callable[[], None], observations, tau_m_ns: int, noted, expected_ns: int):
        """Args:
        once: makes an inference and throws it away.
        observations: the board's `Observations`: a ticket comes once a boundary's is published.
        expected_ns: how long the first may take.
        noted: int64 [2] on the board, of which this process is the only writer: how many there were, and nanoseconds.
        """
        self._once, self._observations, self._tau_m_ns, self._noted = once, observations, tau_m_ns, noted
        # The first before a boundary finds cold caches, the others do not.
        self._firsts, self._others = (deque([expected_ns], maxlen=REMEMBERED) for _ in range(2))
        self._rehearsed_in = -1  # the tick of the last one
        self._work: deque[int] = deque(
            maxlen=REMEMBERED
        )  # of the world's process at its last boundaries, until it published
        self._seen = -1  # the tick of the newest of them

    def begin_ns(self, now: int) -> float:
        """When the next one is to begin, at once if that is past; infinite if none is over before the next ticket can come."""
        newest = self._observations.newest
        if newest < 0:
            return math.inf
        record = self._observations.ticks.rows[newest % self._observations.capacity]
        boundary = int(record["boundary_ns"])
        if self._seen != newest:
            self._seen = newest
            self._work.append(int(record["published_ns"]) - boundary)
        over = boundary + self._tau_m_ns + min(self._work) - MARGIN_NS
        first, other = expected(self._firsts), expected(self._others)
        is_first = self._rehearsed_in != newest
        if now + (first if is_first else other) > over:
            return math.inf
        if not is_first:
            return now
        return over - max(first, min(LONGEST_NS, MOST_OF_A_TICK * self._tau_m_ns, first + (MOST - 1) * other))

    def make(self) -> None:
        began = now_ns()
        self._once()
        took, newest = now_ns() - began, self._observations.newest
        (self._others if self._rehearsed_in == newest else self._firsts).append(took)
        self._rehearsed_in = newest
        self._noted += (1, took)


def expected(times: deque[int]) -> int:
    return sorted(times)[int(RARELY_LONGER * (len(times) - 1))]


def may_rehearse(context) -> bool:
    """Whether this process is one that rehearses: its one worker takes tickets, computes them on its core and shares that with
    nobody."""
    settings, assembly, process = context.settings, context.assembly, context.process
    others = [other for other in assembly.processes if other.number != process.number and other.role != "page"]
    others = [other for other in others if other.crew is None]
    return (
        settings.rehearse
        and process.crew is None  # boundaries are known by the clock of the environment's machine
        and len(process.workers) == 1
        and settings.policy == "agent"
        and settings.emulated_inference_ms is None
        and settings.device == "cpu"
        and not settings.is_sequential
        and stagger.by_name(settings.stagger).hands_out_tickets
        and process.core not in {other.core for other in others}
    )
