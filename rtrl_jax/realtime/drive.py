"""The wall-clock driver: runs a process's loops against CLOCK_MONOTONIC with real sleeps."""

import math
import time
from collections.abc import Callable, Generator
from contextlib import suppress

from rtrl_jax.workers.effects import HEAD, Apply, Infer, Learn, NextBoundary, Timed, WaitBell

now_ns = time.monotonic_ns
LONGEST_SPIN_NS = 250_000  # the kernel may wake a sleeper this late; the rest is spent looking at the clock
LOOK_NS = 200_000_000  # longest uninterrupted wait: the control word is looked at in between


def drive(
    loops: list[Generator],
    *,
    bell,
    running: Callable[[], bool],
    beat: Callable[[int], None],
    emulate: Callable[[int, bool], int] | None = None,
    spin_ns: int = LONGEST_SPIN_NS,
    rehearsals=None,
) -> None:
    """Runs `loops` until they end or `running()` turns false.

    Several loops share the process by taking turns: while one sleeps or waits out an emulated inference, others run.

    Args:
      bell: this process's `Bell`.
      running: whether the run goes on. A loop that waits for a boundary when it ends is resumed with None.
      beat: called at least every `LOOK_NS`, and after each computation with its duration in nanoseconds.
      spin_ns: how long before a boundary, or a rehearsal, to stop sleeping.
      rehearsals: a `rehearsal.Rehearsals`, for a process of one loop, which makes use of waiting for the bell; None: it sleeps.
      emulate: (loop number, whether the action is the network's) -> nanoseconds that the inference should take at least.
    """
    due = [0.0] * len(loops)  # when each loop is to be resumed; infinite once it has ended
    answers = [None] * len(loops)  # with what; None is the present instant
    listening, at_boundary = set(), set()  # loops that a ring resumes early; loops that want their instant exactly

    def begin(number: int, effect) -> None:
        if isinstance(effect, Infer | Learn | Apply):
            start = now_ns()
            value = effect.compute()
            end = now_ns()
            beat(end - start)
            if emulate and isinstance(effect, Infer) and effect.part != HEAD:
                end = max(end, start + emulate(number, value.greedy))
            due[number], answers[number] = end, Timed(value, start, end)
        elif isinstance(effect, NextBoundary):
            due[number] = effect.due_ns
            at_boundary.add(number)
        else:
            due[number] = effect.until_ns
            if isinstance(effect, WaitBell):
                listening.add(number)

    seen = bell.count()
    for number, loop in enumerate(loops):
        begin(number, next(loop))
    while running():
        beat(0)
        if bell.count() != seen:
            seen = bell.count()
            for number in listening:
                due[number] = 0.0
        number = min(range(len(loops)), key=due.__getitem__)
        if due[number] == math.inf:
            return
        left = due[number] - now_ns()
        if left > LOOK_NS or (left > 0 and number not in at_boundary):
            if rehearsals and listening:
                from_ns = rehearsals.begin_ns(now_ns())
                if from_ns <= now_ns():
                    rehearsals.make()
                    continue
                left = min(left, from_ns - spin_ns - now_ns())
                if left <= 0:  # so near that a sleep would end too late
                    continue
            bell.wait(seen, max(0, min(left, LOOK_NS)) / 1e9)
            continue
        if left > 0:
            _wait_exactly(due[number], spin_ns)
        listening.discard(number)
        at_boundary.discard(number)
        answer, answers[number] = answers[number], None
        try:
            begin(number, loops[number].send(now_ns() if answer is None else answer))
        except StopIteration:
            due[number] = math.inf
    for number in at_boundary:
        with suppress(StopIteration):
            loops[number].send(None)
    for number, answer in enumerate(
        answers
    ):  # what has been computed is also told: an update that was made is recorded
        if answer is not None and due[number] < math.inf:
            with suppress(StopIteration):
                loops[number].send(answer)


def _wait_exactly(until_ns: float, spin_ns: int) -> None:
    """Sleeps until shortly before, then watches the clock: the environment's process has a core, or the right of way."""
    left = until_ns - now_ns()
    if left > spin_ns:
        time.sleep((left - spin_ns) / 1e9)
    while now_ns() < until_ns:
        pass
