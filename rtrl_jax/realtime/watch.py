"""Processes in their places: whether one of them is dead or hangs, and who takes its place."""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress

from rtrl_jax.board import lifecycle, segment
from rtrl_jax.board.layout import Board
from rtrl_jax.core.assembly import Assembly, Process
from rtrl_jax.networks import fast
from rtrl_jax.realtime.drive import now_ns
from rtrl_jax.realtime.process import STARTUP_TIMEOUT_S, Child
from rtrl_jax.workers.turns import Turns

GRACE_S, LONGEST_STEP_S = 1.0, 15.0  # for processes to end by themselves; of a world that is waited for
PATIENCE = 5  # times its longest step so far, on top of --hang_timeout_s
MOST_EARLY_DEATHS = 3  # in one place, before it was ever ready
AT_ONCE, BACKOFF_S, LONGEST_BACKOFF_S = 2, 0.5, 30.0  # replacements without a wait, the next one's, which then doubles
MOST_DEATHS, DEATHS_WITHIN_S = 10, 300.0  # in one place: more of them end the run
QUIET_NS = 1_000_000_000  # of silence, until it is worth looking what the process does
LONGEST_PARTING_S = 60.0  # for learners on another machine to end, and tell their state
GAP_S = 1.0  # between two looks: so long everybody was held up, not one of the processes


class Watch:
    """Of the processes that run on this machine. It never waits for any of them. `fatal` says what went wrong beyond repair."""

    def __init__(
        self,
        assembly: Assembly,
        board: Board,
        processes: list[Process],
        spawn: Callable[["Place"], Child],
        fail: Callable,
        look_s: float,
        incarnation: int = 0,
    ):
        """Args:
        spawn: starts a process in its place.
        fail: (process's name, reason, trace=, replaced=), told what went wrong.
        look_s: between two calls of `look`.
        incarnation: of the first processes in their places.
        """
        self._assembly, self._board, self._spawn, self._fail, self._look_s = assembly, board, spawn, fail, look_s
        self.places = {process.number: Place(process, incarnation) for process in processes}
        self._looked, self._gap_ns = time.monotonic(), 0  # when we looked last; when we woke last after being held up
        self.finished = self.environment_died = False  # the environment has reached a limit; it has not, and is dead
        self.fatal: str | None = None

    def start(self) -> None:
        """Starts the first process of each place."""
        for place in self.places.values():
            place.child = self._spawn(place)

    def starting(self, numbers: list[int]) -> None:
        """A look at processes that are not ready yet, of which none may die."""
        for place in (self.places[number] for number in numbers if number in self.places):
            if reason := self._what_is_wrong(place):
                self._fail(place.process.name, reason, trace="" if place.child.diverged else place.child.output())
                self.fatal = f"{place.process.name} {reason} while starting"

    def look(self) -> None:
        """Replaces those that have died or hang."""
        for place in self.places.values():
            self._look_after(place)

    def _what_is_wrong(self, place: "Place") -> str | None:
        """Whether a process has died or hangs, in words."""
        if place.child.exit_status() is not None:
            return place.child.reason()
        now = time.monotonic()
        if now - self._looked > self._look_s + GAP_S:
            self._gap_ns = now_ns()
        self._looked = now
        heard_ns = place.heard(int(self._board.heartbeat_ns[place.process.number]), self._gap_ns)
        silent_s, patience_s = (now_ns() - heard_ns) / 1e9, self._patience_s(place.process.number)
        if silent_s > patience_s and not place.is_starved(patience_s):
            return f"gave no sign of life for {silent_s:.1f} s"
        return None

    def _patience_s(self, number: int) -> float:
        """How long a process may be silent: while it starts, it imports and compiles."""
        if not self._board.ready[number]:
            return STARTUP_TIMEOUT_S
        return self._assembly.settings.hang_timeout_s + PATIENCE * int(self._board.expected_ns[number]) / 1e9

    def _look_after(self, place: "Place") -> None:
        """Replaces a process that has died or hangs. The environment cannot be replaced; the page can be spared."""
        if place.given_up:
            return
        if place.child is None:
            self._start_again(place)
            return
        process = place.process
        reason = self._what_is_wrong(place)
        # Only now: it sets `over` before it ends, so one that is seen to have ended has set it, however it closed its world.
        if process.role == "environment" and self._board.over[0]:
            self.finished = True
            return
        if reason is None:
            return
        place.child.kill()
        place.child.wait(GRACE_S)
        diverged, was_ready = place.child.diverged, bool(self._board.ready[process.number])
        trace = "" if diverged else place.child.output()
        place.died(was_ready)
        if process.role == "environment":
            self.fatal, self.environment_died = f"{process.name} {reason}", True
        elif diverged:
            self.fatal = f"{process.name} {reason}"
        elif place.keeps_dying:
            if process.role == "page":
                place.given_up = True
            else:
                self.fatal = f"{process.name} {reason}, again and again"
        self._fail(process.name, reason, trace=trace, replaced=not (self.fatal or place.given_up))
        if self.fatal or place.given_up:
            return
        lifecycle.clear(self._board, process.number, process.workers)
        place.child = None
        place.incarnation += 1
        self._start_again(place)

    def _start_again(self, place: "Place") -> None:
        """A successor for one that died, once it is time."""
        if time.monotonic() < place.again_at:
            return
        try:
            place.child = self._spawn(place)
        except OSError as error:
            place.failed_starts += 1
            place.again_at = time.monotonic() + min(LONGEST_BACKOFF_S, BACKOFF_S * 2**place.failed_starts)
            reason = f"could not be started ({error.strerror})"
            if place.failed_starts == 1:
                self._fail(place.process.name, f"{reason}; it will be tried again")
            if place.failed_starts > MOST_DEATHS and place.process.role != "page":
                self.fatal = f"{place.process.name} {reason}, again and again"
            return
        place.failed_starts = 0

    def end(self) -> None:
        """Waits for all to end by themselves, for a while."""
        began = time.monotonic()
        for place in self.places.values():
            child, grace_s = place.child, GRACE_S
            if place.process.role == "environment":  # it has to come to the end of its step, and to leave its state
                longest_s = int(self._board.expected_ns[place.process.number]) / 1e9
                grace_s += 2 * min(LONGEST_STEP_S, longest_s + 1 / self._assembly.spec.rate_hz)
            if place.process.role == "bridge" and self._assembly.learners_crew is not None:
                grace_s += LONGEST_PARTING_S  # it waits for their last state, if there is anybody to tell it
            if child and not child.wait(max(0.0, began + grace_s - time.monotonic())):
                child.kill()
                child.wait(GRACE_S)
                if not self._board.ready[place.process.number]:
                    _drop_half_compiled()


class Place:
    """A process's place in the run, and what is known of those that have filled it."""

    def __init__(self, process: Process, incarnation: int = 0):
        self.process = process
        self.child: Child | None = None
        self.incarnation = incarnation
        self.again_at = 0.0  # not before then is a successor started
        self.given_up = False
        self._deaths: list[float] = []  # when, of late
        self._early_deaths = 0  # before it was ready, one after another
        self._excused_ns = 0
        self._heard = (0, 0.0)  # when it fell silent, and the processor time that it had had by then
        self.failed_starts = 0  # one after another

    def died(self, was_ready: bool) -> None:
        now = time.monotonic()
        self._early_deaths = 0 if was_ready else self._early_deaths + 1
        self._deaths = [when for when in self._deaths if now - when < DEATHS_WITHIN_S] + [now]
        beyond = len(self._deaths) - AT_ONCE
        self.again_at = now + (min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (beyond - 1)) if beyond > 0 else 0.0)
        self._heard = (0, 0.0)

    @property
    def keeps_dying(self) -> bool:
        return self._early_deaths >= MOST_EARLY_DEATHS or len(self._deaths) > MOST_DEATHS

    def heard(self, beat_ns: int, gap_ns: int) -> int:
        """The instant from which its silence counts: its last sign of life, or when all were held up together after that.

        One that has not been heard since it was excused is not excused again.
        """
        if beat_ns > self._excused_ns:
            self._excused_ns = max(self._excused_ns, gap_ns)
        heard_ns = max(beat_ns, self._excused_ns)
        if heard_ns != self._heard[0] and time.monotonic_ns() - heard_ns > QUIET_NS:
            self._heard = (heard_ns, self.child.processor_s())
        return heard_ns

    def is_starved(self, patience_s: float) -> bool:
        """Whether it wants to go on and got too little of its core to: then its silence is no hang."""
        return self.child.is_runnable() and self.child.processor_s() - self._heard[1] < patience_s


def pass_turn_of_the_dead(board: Board, learners: list[int], descriptor: int, threads: threading.Lock) -> None:
    """A learner that is dead, or starting anew, forfeits its turn.

    Args:
      learners: numbers of their processes.
      descriptor: of the board.
      threads: held by the thread of this process that keeps turns from being taken: the kernel's lock does not tell them apart.
    """
    turns = Turns(board, nullcontext, learners)
    if not learners or board.ready[turns.holder_process()]:
        return
    if not threads.acquire(blocking=False):  # a checkpoint is being copied; there will be another look
        return
    try:
        with suppress(BlockingIOError), segment.exclusive(descriptor, segment.TURN, wait=False):
            if not board.ready[turns.holder_process()]:
                turns.pass_on()
    finally:
        threads.release()


def _drop_half_compiled() -> None:
    """A process that is killed while it compiles may leave half a program where JAX keeps them, and JAX would not mend it."""
    for file in fast.cache_folder().glob("*"):
        with suppress(FileNotFoundError):
            if file.is_file() and time.time() - file.stat().st_mtime < 2 * GRACE_S:
                file.unlink()
