"""The virtual driver: runs all of a run's loops in one process on a simulated clock, an event queue in place of sleeps.

At one instant come first the answers that are ready, then the environment's boundary, then the others by number: nothing
depends on chance but the random generators that the loops and the charges are given. A loop that waits for its bell is
resumed when it rings and not before: with no other process about, no ring is ever missed.
"""

import heapq
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from rtrl_jax.errors import DivergedError
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


class Driver:
    """Runs loops, the first of which is the environment's. What is under way can be kept, and another goes on with it."""

    def __init__(
        self,
        loops: list,
        *,
        clock: Clock,
        bells: np.ndarray,
        charge: Callable[[int, Infer | Learn | Apply, object], int],
    ):
        """Args:
        loops: generators, or `workers.steps.Loop`.
        clock: moved on from event to event.
        bells: uint32 [number of loops], how often each has been rung; looked at after every boundary and every `Apply`.
        charge: (loop's number, effect, what it computed) -> the nanoseconds it takes. A computation is done when it
          begins, on what there is then; only an `Apply` is done when it ends, with None for what it computed.
        """
        self._loops, self._clock, self._bells, self._charge = loops, clock, bells, charge
        self._queue: list[
            tuple
        ] = []  # (instant, order, loop, answer): a loop has at most one event, so order tells all apart
        self._seen, self._listening = bells.copy(), np.zeros(len(loops), bool)
        self._to_begin = range(len(loops))

    def run(self, running: Callable[[], bool]) -> None:
        """Until the environment's loop ends or `running()` turns false.

        Args: running: called after every boundary. The environment's loop is resumed with None when the run ends.

        Raises:
          DivergedError: an update has. The environment's loop has ended, and what is under way goes on with another update.
        """
        for number in self._to_begin:
            self._begin(number, next(self._loops[number]))
        self._wake()  # whoever was rung for before the run goes on
        clock, queue, loops, diverged = self._clock, self._queue, self._loops, None
        while queue:
            clock.ns, order, number, answer = heapq.heappop(queue)
            committed = isinstance(answer, _Begun)
            try:
                if committed:
                    answer = Timed(answer.effect.compute(), answer.start_ns, clock.ns)
                self._begin(number, loops[number].send(clock.ns if answer is None else answer))
            except StopIteration:
                if number == 0:
                    return
            except DivergedError as error:
                diverged = error
                loops[number].give_up()
                self._push(clock.ns, number, number, None)
                break
            if order == BOUNDARY or committed:
                self._wake()
            if order == BOUNDARY and not running():
                break
        with suppress(StopIteration):
            loops[0].send(None)
        if diverged:
            raise diverged

    def _begin(self, number: int, effect) -> None:
        now = self._clock.ns
        if isinstance(effect, Infer | Learn):
            value = effect.compute()
            end = now + self._charge(number, effect, value)
            order = ANSWER if isinstance(effect, Infer) else number
            self._push(end, order, number, Timed(value, now, end))
        elif isinstance(effect, Apply):
            self._push(now + self._charge(number, effect, None), number, number, _Begun(effect, now))
        elif isinstance(effect, WaitBell):
            self._listening[number] = True
        elif isinstance(effect, NextBoundary):
            self._push(max(effect.due_ns, now), BOUNDARY, number, None)
        else:
            self._push(max(effect.until_ns, now), number, number, None)

    def _push(self, *event) -> None:
        heapq.heappush(self._queue, event)

    def _wake(self) -> None:
        for number in (self._bells != self._seen).nonzero()[0].tolist():
            self._seen[number] = self._bells[number]
            if self._listening[number]:
                self._listening[number] = False
                self._push(self._clock.ns, number, number, None)

    def state(self) -> dict:
        """All that is under way, but for the environment's next boundary. May be asked for by the environment's loop."""
        events = [event for event in sorted(self._queue, key=lambda event: event[:3]) if event[2] != 0]
        return {
            "ns": self._clock.ns,
            "seen": self._seen,
            "listening": self._listening,
            "answers": [event for event in events if not isinstance(event[3], _Begun)],
            "begun": [(*event[:3], event[3].start_ns) for event in events if isinstance(event[3], _Begun)],
            "loops": [loop.state() for loop in self._loops[1:]],
        }

    def restore(self, saved: dict) -> None:
        """Goes on from there, the environment's loop with its next boundary. Before `run`."""
        self._clock.ns = saved["ns"]
        self._seen[:], self._listening[:] = saved["seen"], saved["listening"]
        for loop, its in zip(self._loops[1:], saved["loops"], strict=True):
            loop.restore(its)
        for event in saved["answers"]:
            self._push(*event)
        for instant, order, number, start_ns in saved["begun"]:
            self._push(instant, order, number, _Begun(self._loops[number].application(), start_ns))
        self._to_begin = range(1)


def drive(loops: list, *, running: Callable[[], bool], **how) -> None:
    """Runs `loops` from their beginning to the end. Args: running: see `Driver.run`. how: of `Driver`."""
    Driver(loops, **how).run(running)
