"""The virtual driver: runs all of a run's loops in one process on a simulated clock, an event queue in place of sleeps.

At one instant come first the answers that are ready, then the environment's boundary, then the others by number: nothing
depends on chance but the random generators that the loops and the charges are given. A loop that waits for its bell is
resumed when it rings and not before: with no other process about, no ring is ever missed.
"""

import heapq
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from rtrl_jax.workers.effects import Apply, Infer, Learn, NextBoundary, Timed, WaitBell

ANSWER, BOUNDARY = -2, -1  # an answer that is there at a boundary acts at it: the delay is ⌈τ/τ_M⌉


class _Begun(NamedTuple):
    """An `Apply` under way."""

    effect: Apply
    start_ns: int


class Clock:
    """Nanoseconds since the run began."""

    def __init__(self):
        self.ns = 0

    def now_ns(self) -> int:
        return self.ns


def drive(
    loops: list[Generator],
    *,
    clock: Clock,
    bells: np.ndarray,
    charge: Callable[[int, Infer | Learn | Apply, object], int],
    running: Callable[[], bool],
) -> None:
    """Runs `loops`, the first of which is the environment's, until that one ends or `running()` turns false.

    Args:
      clock: moved on from event to event.
      bells: uint32 [number of loops], how often each has been rung; looked at after every boundary and every `Apply`.
      charge: (loop's number, effect, what it computed) -> the nanoseconds it takes. A computation is done when it
        begins, on what there is then; only an `Apply` is done when it ends, with None for what it computed.
      running: called after every boundary. The environment's loop is resumed with None when the run ends.
    """
    queue: list[tuple] = []  # (instant, order, loop, answer): a loop has at most one event, so order tells all apart
    seen, listening = bells.copy(), np.zeros(len(loops), bool)

    def begin(number: int, effect) -> None:
        now = clock.ns
        if isinstance(effect, Infer | Learn):
            value = effect.compute()
            end = now + charge(number, effect, value)
            order = ANSWER if isinstance(effect, Infer) else number
            heapq.heappush(queue, (end, order, number, Timed(value, now, end)))
        elif isinstance(effect, Apply):
            heapq.heappush(queue, (now + charge(number, effect, None), number, number, _Begun(effect, now)))
        elif isinstance(effect, WaitBell):
            listening[number] = True
        elif isinstance(effect, NextBoundary):
            heapq.heappush(queue, (max(effect.due_ns, now), BOUNDARY, number, None))
        else:
            heapq.heappush(queue, (max(effect.until_ns, now), number, number, None))

    def wake() -> None:
        for number in (bells != seen).nonzero()[0].tolist():
            seen[number] = bells[number]
            if listening[number]:
                listening[number] = False
                heapq.heappush(queue, (clock.ns, number, number, None))

    for number, loop in enumerate(loops):
        begin(number, next(loop))
    while queue:
        clock.ns, order, number, answer = heapq.heappop(queue)
        committed = isinstance(answer, _Begun)
        if committed:
            answer = Timed(answer.effect.compute(), answer.start_ns, clock.ns)
        try:
            begin(number, loops[number].send(clock.ns if answer is None else answer))
        except StopIteration:
            if number == 0:
                return
        if order == BOUNDARY or committed:
            wake()
        if order == BOUNDARY and not running():
            break
    with suppress(StopIteration):
        loops[0].send(None)
